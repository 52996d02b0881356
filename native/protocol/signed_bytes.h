// The bytes that a device key signs.
#ifndef DEVICE_KEY_PROTOCOL_SIGNED_BYTES_H_
#define DEVICE_KEY_PROTOCOL_SIGNED_BYTES_H_

#include <string>

#include "protocol/types.h"

namespace device_key {

// Distinguishes these bytes from anything else that a key could sign.
inline constexpr std::string_view kSignedBytesDomain = "codex-device-key-sign-payload/v1";

// {"domain":"codex-device-key-sign-payload/v1","payload":{...}} as UTF-8 JSON: keys sorted, no
// white space, only `"`, `\` and control characters escaped. Verifiers receive these bytes and
// must not rebuild them. Throws `invalid_payload` when a string is not UTF-8.
std::string SignedBytes(const SignPayload& payload);

}  // namespace device_key

#endif  // DEVICE_KEY_PROTOCOL_SIGNED_BYTES_H_
