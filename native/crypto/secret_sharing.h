// Secrets for the holder of a storage key (TPM 2.0 Library Specification, Part 1, Annexes B.10.2
// and C.6.1, "secret sharing"): what salts a session.
#ifndef DEVICE_KEY_CRYPTO_SECRET_SHARING_H_
#define DEVICE_KEY_CRYPTO_SECRET_SHARING_H_

#include <cstdint>
#include <memory>
#include <string_view>

#include "crypto/bytes.h"
#include "crypto/tpm_hash.h"

namespace device_key {

struct SharedSecret {
  Bytes secret;
  Bytes encrypted;  // what a TPM2B_ENCRYPTED_SECRET carries
};

enum class TpmCurve { kP256, kP384 };

// The public half of a storage key. Parsing it costs as much as sharing a secret, so keep it. Used
// by one thread at a time.
class SecretSharingKey {
 public:
  // `x` and `y` are the point's big-endian affine coordinates as the TPM reports them, `hash` what
  // the key is named by. Throws `crypto_error` when the point is not on the curve.
  static SecretSharingKey Ecc(TpmCurve curve, ByteView x, ByteView y, TpmHash hash);

  // `modulus` is big-endian.
  static SecretSharingKey Rsa(ByteView modulus, uint32_t exponent, TpmHash hash);

  SecretSharingKey(SecretSharingKey&&) noexcept;
  SecretSharingKey& operator=(SecretSharingKey&&) noexcept;
  ~SecretSharingKey();

  // A new secret: agreed on with an ephemeral key (ECDH and KDFe), or encrypted with OAEP. `label`
  // says what it is for, without the zero byte that ends it in the specification. Throws
  // `crypto_error`.
  SharedSecret Share(std::string_view label) const;

 private:
  struct State;
  explicit SecretSharingKey(std::unique_ptr<State> state);

  SharedSecret Agree(std::string_view label) const;
  SharedSecret Encrypt(std::string_view label) const;

  std::unique_ptr<State> state_;
};

}  // namespace device_key

#endif  // DEVICE_KEY_CRYPTO_SECRET_SHARING_H_
