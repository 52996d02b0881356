// From JSON text to the params of the three methods.
//
// These look at the shape alone, and accept what types/schema/v2 accepts: members of the right
// types, unknown members ignored. rules.h says what the values must be.
//
// Beyond the schemas, a text is refused for what readers of JSON disagree about or suffer from:
// members given twice, lone surrogates, invalid UTF-8, a byte order mark, anything behind the
// value, numbers that no double can hold, more than kMaxJsonBytes, nesting beyond kMaxJsonDepth.
//
// All throw `invalid_params`, or `invalid_payload` for a member of `payload`; the message names
// the member and what was expected there.
#ifndef DEVICE_KEY_PROTOCOL_DECODE_H_
#define DEVICE_KEY_PROTOCOL_DECODE_H_

#include <string_view>

#include "protocol/types.h"

namespace device_key {

CreateParams DecodeCreateParams(std::string_view json_text);
PublicParams DecodePublicParams(std::string_view json_text);
SignParams DecodeSignParams(std::string_view json_text);

// {"protectionPolicy"?}: a key that the first enrollment payload it signs will bind.
CreateUnboundParams DecodeCreateUnboundParams(std::string_view json_text);

// {"keyId", "signedPayloadBase64"}: the params of callers that form the signed bytes themselves.
// The bytes must be, to the last one, what SignedBytes() makes of the payload in them: nobody can
// have anything else signed by this way. Throws `invalid_payload` when they are not.
SignParams DecodeSignBytesParams(std::string_view json_text);

// {"keyId", "challenge"}: canonical unpadded base64url of 32 to 64 bytes. A TPM takes no more as
// qualifying data.
AttestParams DecodeAttestParams(std::string_view json_text);

// {"keyId", "credentialBlob", "encryptedSecret"}, both in canonical, padded base64.
ActivateAttestationParams DecodeActivateAttestationParams(std::string_view json_text);

}  // namespace device_key

#endif  // DEVICE_KEY_PROTOCOL_DECODE_H_
