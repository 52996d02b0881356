// Cryptographically secure random bytes.
#ifndef DEVICE_KEY_CRYPTO_RANDOM_H_
#define DEVICE_KEY_CRYPTO_RANDOM_H_

#include <cstddef>

#include "crypto/bytes.h"

namespace device_key {

// Throws `crypto_error` when the operating system's generator fails.
Bytes RandomBytes(size_t count);

}  // namespace device_key

#endif  // DEVICE_KEY_CRYPTO_RANDOM_H_
