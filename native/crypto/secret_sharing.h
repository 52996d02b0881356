// Secrets for the holder of a storage key (TPM 2.0 Library Specification, Part 1, Annexes B.10.2
// and C.6.1, "secret sharing"): what salts a session.
#ifndef DEVICE_KEY_CRYPTO_SECRET_SHARING_H_
#define DEVICE_KEY_CRYPTO_SECRET_SHARING_H_

#include <cstdint>
#include <string_view>

#include "crypto/bytes.h"
#include "crypto/tpm_hash.h"

namespace device_key {

struct SharedSecret {
  Bytes secret;
  Bytes encrypted;  // what a TPM2B_ENCRYPTED_SECRET carries
};

enum class TpmCurve { kP256, kP384 };

// A new secret for the key with the affine coordinates `x` and `y`, agreed on with an ephemeral key
// (ECDH and KDFe). `hash` is the one that the key is named by; `label` says what the secret is for,
// without the zero byte that ends it in the specification. Throws `crypto_error`, also when the
// point is not on the curve.
SharedSecret ShareSecret(TpmCurve curve, ByteView x, ByteView y, TpmHash hash,
                         std::string_view label);

// The same for an RSA key, encrypted with OAEP. `modulus` is big-endian.
SharedSecret ShareSecret(ByteView modulus, uint32_t exponent, TpmHash hash, std::string_view label);

}  // namespace device_key

#endif  // DEVICE_KEY_CRYPTO_SECRET_SHARING_H_
