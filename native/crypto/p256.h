// P-256 public keys (X.509 SPKI DER) and ECDSA-SHA256 signatures (X9.62 DER).
#ifndef DEVICE_KEY_CRYPTO_P256_H_
#define DEVICE_KEY_CRYPTO_P256_H_

#include <array>
#include <memory>

#include "crypto/bytes.h"
#include "crypto/sha256.h"

namespace device_key {

// The SubjectPublicKeyInfo (RFC 5480, named curve, uncompressed point; 91 bytes) of the point with
// the big-endian affine coordinates `x` and `y`, each at most 32 bytes (shorter ones are padded,
// because some hardware drops leading zeros). Throws `crypto_error` when the point is not on P-256.
Bytes SpkiFromPoint(ByteView x, ByteView y);

// The DER ECDSA-Sig-Value (RFC 3279 section 2.2.3) of big-endian `r` and `s`, each at most 32
// bytes. Throws `crypto_error` when one is empty, zero or too long.
Bytes EcdsaDerFromRaw(ByteView r, ByteView s);

// The affine coordinates of a public key: big-endian, 32 bytes each; views into its SPKI.
struct P256Point {
  ByteView x;
  ByteView y;
};

// The coordinates in an SPKI that SpkiFromPoint or P256PublicKey::FromSpki accepts. Throws
// `crypto_error` for any other.
P256Point PointFromSpki(ByteView spki_der);

// The big-endian r and s of a signature, 32 bytes each, one after the other (RFC 7518 section 3.4).
using RawEcdsaSignature = std::array<uint8_t, 64>;

// Converts a DER ECDSA-Sig-Value that has been verified. Throws `crypto_error` for anything else.
RawEcdsaSignature EcdsaRawFromDer(ByteView der);

// A parsed public key. Parsing takes longer than a verification, so keep the object. Not
// thread-safe: one object is used by one thread at a time.
class P256PublicKey {
 public:
  // Throws `crypto_error` unless `der` is the SPKI of a P-256 point and nothing follows it.
  static P256PublicKey FromSpki(ByteView der);

  P256PublicKey(P256PublicKey&&) noexcept;
  P256PublicKey& operator=(P256PublicKey&&) noexcept;
  ~P256PublicKey();

  // Whether `signature_der` is this key's ECDSA signature over `digest`. False for a
  // malformed signature.
  bool Verify(const Sha256Digest& digest, ByteView signature_der) const;

 private:
  struct State;
  explicit P256PublicKey(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace device_key

#endif  // DEVICE_KEY_CRYPTO_P256_H_
