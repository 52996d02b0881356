// Base64 (RFC 4648 section 4) and unpadded base64url (section 5), both strict.
#ifndef DEVICE_KEY_CRYPTO_BASE64_H_
#define DEVICE_KEY_CRYPTO_BASE64_H_

#include <optional>
#include <string>
#include <string_view>

#include "crypto/bytes.h"

namespace device_key {

std::string Base64Encode(ByteView bytes);
std::string Base64UrlEncode(ByteView bytes);

// The decoders accept exactly what the encoders produce: no white space, padding only in
// base64, no non-zero bits after the last byte. They return nullopt for anything else.
std::optional<Bytes> Base64Decode(std::string_view text);
std::optional<Bytes> Base64UrlDecode(std::string_view text);

}  // namespace device_key

#endif  // DEVICE_KEY_CRYPTO_BASE64_H_
