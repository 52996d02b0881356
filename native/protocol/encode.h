// From the results of the three methods to their wire form.
#ifndef DEVICE_KEY_PROTOCOL_ENCODE_H_
#define DEVICE_KEY_PROTOCOL_ENCODE_H_

#include <nlohmann/json.hpp>
#include <string>

#include "protocol/types.h"

namespace device_key {

nlohmann::ordered_json EncodeCreateResponse(const CreateResponse& response);
nlohmann::ordered_json EncodePublicResponse(const PublicResponse& response);

// As JSON text at once: Base64 needs no escapes, and a document of nlohmann/json would cost ten
// times as much on the way of every signature.
std::string EncodeSignResponse(const SignResponse& response);

}  // namespace device_key

#endif  // DEVICE_KEY_PROTOCOL_ENCODE_H_
