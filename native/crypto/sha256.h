// SHA-256 (FIPS 180-4).
#ifndef DEVICE_KEY_CRYPTO_SHA256_H_
#define DEVICE_KEY_CRYPTO_SHA256_H_

#include <array>

#include "crypto/bytes.h"

namespace device_key {

using Sha256Digest = std::array<uint8_t, 32>;

Sha256Digest Sha256(ByteView message);

}  // namespace device_key

#endif  // DEVICE_KEY_CRYPTO_SHA256_H_
