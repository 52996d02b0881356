// The hash functions that storage keys are named by.
#ifndef DEVICE_KEY_CRYPTO_TPM_HASH_H_
#define DEVICE_KEY_CRYPTO_TPM_HASH_H_

#include "crypto/bytes.h"

namespace device_key {

// Those that the TCG PC Client Platform TPM Profile (version 1.05) wants of every TPM.
enum class TpmHash { kSha256, kSha384 };

// The name by which OpenSSL knows it.
const char* OpenSslName(TpmHash hash);

// In bytes.
size_t DigestSize(TpmHash hash);

// Throws `crypto_error`.
Bytes Digest(TpmHash hash, ByteView message);

}  // namespace device_key

#endif  // DEVICE_KEY_CRYPTO_TPM_HASH_H_
