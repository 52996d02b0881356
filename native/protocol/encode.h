// Encodes the results of the methods in their wire form.
#ifndef DEVICE_KEY_PROTOCOL_ENCODE_H_
#define DEVICE_KEY_PROTOCOL_ENCODE_H_

#include <nlohmann/json.hpp>
#include <string>

#include "protocol/types.h"

namespace device_key {

nlohmann::ordered_json EncodeCreateResponse(const CreateResponse& response);
// As EncodeCreateResponse, with "jwk" and its RFC 7638 thumbprint "jkt".
nlohmann::ordered_json EncodeCreateDpopKeyResponse(const CreateResponse& response);
nlohmann::ordered_json EncodePublicResponse(const PublicResponse& response);

// Writes JSON text directly. Base64 needs no escapes, and each signature would pay ten times as
// much for a document of nlohmann/json.
std::string EncodeSignResponse(const SignResponse& response);

}  // namespace device_key

#endif  // DEVICE_KEY_PROTOCOL_ENCODE_H_
