// From JSON text to the params of the three methods.
//
// These check the shape only, and accept what types/schema/v2 accepts: members of the right types,
// unknown members ignored. rules.h has the rules for the values.
//
// In addition to the schemas, they refuse texts that JSON parsers read differently or fail on:
// members given twice, lone surrogates, invalid UTF-8, a byte order mark, text after the
// value, numbers too large for a double, more than kMaxJsonBytes, nesting beyond kMaxJsonDepth.
//
// All throw `invalid_params`, or `invalid_payload` for a member of `payload`; the message names
// the member and the expected value.
#ifndef DEVICE_KEY_PROTOCOL_DECODE_H_
#define DEVICE_KEY_PROTOCOL_DECODE_H_

#include <string_view>

#include "protocol/types.h"

namespace device_key {

CreateParams DecodeCreateParams(std::string_view json_text);
PublicParams DecodePublicParams(std::string_view json_text);
SignParams DecodeSignParams(std::string_view json_text);

// {"protectionPolicy"?}: for a key without a binding; the first enrollment payload that it signs
// binds it.
CreateUnboundParams DecodeCreateUnboundParams(std::string_view json_text);

// {"keyId", "signedPayloadBase64"}: the params of callers that form the signed bytes themselves.
// The bytes must equal SignedBytes() of the payload in them, so that nothing else can be signed
// this way. Throws `invalid_payload` when they differ.
SignParams DecodeSignBytesParams(std::string_view json_text);

// {"clientId", "origins", "protectionPolicy"?}
CreateDpopKeyParams DecodeCreateDpopKeyParams(std::string_view json_text);

// {"keyId", "htm", "htu", "nonce"?, "accessToken"? or "accessTokenSha256Base64url"?,
// "authorizationCode"?}: of the token and the code only their digests are kept.
SignDpopParams DecodeSignDpopParams(std::string_view json_text);

// {"keyId", "challenge"}: canonical unpadded base64url of 32 to 64 bytes. A TPM accepts at most
// 64 bytes of qualifying data.
AttestParams DecodeAttestParams(std::string_view json_text);

// {"keyId", "credentialBlob", "encryptedSecret"}, both in canonical, padded base64.
ActivateAttestationParams DecodeActivateAttestationParams(std::string_view json_text);

}  // namespace device_key

#endif  // DEVICE_KEY_PROTOCOL_DECODE_H_
