// AES-128 in CFB mode with whole blocks of feedback (SP 800-38A, CFB-128): how TPM sessions encrypt
// a parameter.
#ifndef DEVICE_KEY_CRYPTO_AES_CFB_H_
#define DEVICE_KEY_CRYPTO_AES_CFB_H_

#include <cstdint>
#include <span>

#include "crypto/bytes.h"

namespace device_key {

// Encrypts `data` in place. `key` and `iv` have 16 bytes each. Throws `crypto_error`.
void EncryptAes128Cfb(std::span<const uint8_t, 16> key, std::span<const uint8_t, 16> iv,
                      std::span<uint8_t> data);

}  // namespace device_key

#endif  // DEVICE_KEY_CRYPTO_AES_CFB_H_
