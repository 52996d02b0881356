#include "crypto/p256.h"

#include <openssl/core_names.h>
#include <openssl/err.h>

#include <algorithm>
#include <array>
#include <string>

#include "crypto/openssl.h"

namespace device_key {

namespace {

constexpr size_t kCoordinateSize = 32;

// The bytes before the two coordinates in the DER of RFC 5480: SEQUENCE { SEQUENCE {
// id-ecPublicKey, prime256v1 }, BIT STRING { no unused bits, 0x04 (SEC 1: uncompressed) } }. DER
// allows no other encoding, so comparing these bytes parses strictly.
constexpr std::array<uint8_t, 27> kSpkiPrefix = {
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
    0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04};
constexpr size_t kSpkiSize = kSpkiPrefix.size() + 2 * kCoordinateSize;
static_assert(kSpkiSize == 91);

bool IsSpki(ByteView der) {
  return der.size() == kSpkiSize && std::equal(kSpkiPrefix.begin(), kSpkiPrefix.end(), der.begin());
}

[[noreturn]] void ThrowNoSpki() {
  throw CryptoError(
      "expected a public key as SubjectPublicKeyInfo DER: P-256 as a named curve, uncompressed, 91 "
      "bytes");
}

void AppendPadded(Bytes& out, ByteView coordinate) {
  if (coordinate.size() > kCoordinateSize) {
    throw CryptoError("a coordinate of a P-256 public key is longer than 32 bytes");
  }
  out.insert(out.end(), kCoordinateSize - coordinate.size(), 0);
  out.insert(out.end(), coordinate.begin(), coordinate.end());
}

// `point` is the uncompressed SEC 1 form. OpenSSL refuses it unless it is on the curve.
ScopedEvpPkey PublicKeyFromPoint(ByteView point) {
  ScopedEvpPkeyCtx context(EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
  std::string group = "prime256v1";
  Bytes point_copy(point.begin(), point.end());  // OSSL_PARAM holds pointers to non-const
  OSSL_PARAM params[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group.data(), group.size()),
      OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point_copy.data(),
                                        point_copy.size()),
      OSSL_PARAM_construct_end()};
  EVP_PKEY* key = nullptr;
  if (!context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params) != 1) {
    throw CryptoError("the public key is not a point on P-256");
  }
  return ScopedEvpPkey(key);
}

// Made once and never freed, because making it takes longer than a verification.
const EC_GROUP* P256Group() {
  static const EC_GROUP* const group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
  return group;
}

ScopedBignum ScalarFromBytes(ByteView bytes) {
  if (bytes.size() > kCoordinateSize) {
    throw CryptoError("half of an ECDSA signature is longer than 32 bytes");
  }
  ScopedBignum scalar(BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr));
  if (!scalar) throw CryptoError("out of memory");
  if (BN_is_zero(scalar.get())) throw CryptoError("half of an ECDSA signature is empty or zero");
  return scalar;
}

}  // namespace

Bytes SpkiFromPoint(ByteView x, ByteView y) {
  InitOpenSsl();
  Bytes spki(kSpkiPrefix.begin(), kSpkiPrefix.end());
  AppendPadded(spki, x);
  AppendPadded(spki, y);
  const ScopedEcPoint point(EC_POINT_new(P256Group()));
  // EC_POINT_oct2point(3) refuses points that are not on the curve.
  if (!point || EC_POINT_oct2point(P256Group(), point.get(), &spki[kSpkiPrefix.size() - 1],
                                   spki.size() - kSpkiPrefix.size() + 1, nullptr) != 1) {
    throw CryptoError("the public key is not a point on P-256");
  }
  return spki;
}

Bytes EcdsaDerFromRaw(ByteView r, ByteView s) {
  InitOpenSsl();
  ScopedBignum r_scalar = ScalarFromBytes(r);
  ScopedBignum s_scalar = ScalarFromBytes(s);
  ScopedEcdsaSig signature(ECDSA_SIG_new());
  if (!signature || ECDSA_SIG_set0(signature.get(), r_scalar.get(), s_scalar.get()) != 1) {
    throw CryptoError("out of memory");
  }
  // ECDSA_SIG_set0 took ownership of both.
  static_cast<void>(r_scalar.release());
  static_cast<void>(s_scalar.release());
  const int size = i2d_ECDSA_SIG(signature.get(), nullptr);
  if (size <= 0) throw CryptoError("an ECDSA signature could not be encoded");
  Bytes der(static_cast<size_t>(size));
  uint8_t* end = der.data();
  i2d_ECDSA_SIG(signature.get(), &end);
  return der;
}

P256Point PointFromSpki(ByteView spki_der) {
  if (!IsSpki(spki_der)) ThrowNoSpki();
  return {spki_der.subspan(kSpkiPrefix.size(), kCoordinateSize),
          spki_der.subspan(kSpkiPrefix.size() + kCoordinateSize)};
}

RawEcdsaSignature EcdsaRawFromDer(ByteView der) {
  InitOpenSsl();
  const uint8_t* begin = der.data();
  const ScopedEcdsaSig signature(d2i_ECDSA_SIG(nullptr, &begin, static_cast<long>(der.size())));
  RawEcdsaSignature raw{};
  constexpr int kSize = static_cast<int>(kCoordinateSize);
  if (!signature || begin != der.data() + der.size() ||
      BN_bn2binpad(ECDSA_SIG_get0_r(signature.get()), raw.data(), kSize) != kSize ||
      BN_bn2binpad(ECDSA_SIG_get0_s(signature.get()), raw.data() + kCoordinateSize, kSize) !=
          kSize) {
    throw CryptoError("expected an ECDSA signature of P-256 in DER");
  }
  return raw;
}

struct P256PublicKey::State {
  ScopedEvpPkey key;
  ScopedEvpPkeyCtx verification;  // set up once: setting it up takes as long as a verification
};

P256PublicKey::P256PublicKey(std::unique_ptr<State> state) : state_(std::move(state)) {}
P256PublicKey::P256PublicKey(P256PublicKey&&) noexcept = default;
P256PublicKey& P256PublicKey::operator=(P256PublicKey&&) noexcept = default;
P256PublicKey::~P256PublicKey() = default;

P256PublicKey P256PublicKey::FromSpki(ByteView der) {
  InitOpenSsl();
  if (!IsSpki(der)) ThrowNoSpki();
  auto state = std::make_unique<State>();
  state->key = PublicKeyFromPoint(der.subspan(kSpkiPrefix.size() - 1));
  state->verification.reset(EVP_PKEY_CTX_new_from_pkey(nullptr, state->key.get(), nullptr));
  if (!state->verification || EVP_PKEY_verify_init(state->verification.get()) != 1) {
    throw CryptoError("OpenSSL cannot verify ECDSA signatures");
  }
  return P256PublicKey(std::move(state));
}

bool P256PublicKey::Verify(const Sha256Digest& digest, ByteView signature_der) const {
  // OpenSSL itself refuses any text but the one DER encoding of the signature
  // (crypto/ec/ecdsa_ossl.c re-encodes it and compares).
  const bool valid = EVP_PKEY_verify(state_->verification.get(), signature_der.data(),
                                     signature_der.size(), digest.data(), digest.size()) == 1;
  if (!valid) ERR_clear_error();
  return valid;
}

}  // namespace device_key
