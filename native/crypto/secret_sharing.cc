#include "crypto/secret_sharing.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include <memory>

#include "crypto/openssl.h"
#include "crypto/random.h"
#include "crypto/tpm_kdf.h"

namespace device_key {
namespace {

using ScopedParamBld = std::unique_ptr<OSSL_PARAM_BLD, OpenSslFree<OSSL_PARAM_BLD_free>>;
using ScopedParams = std::unique_ptr<OSSL_PARAM, OpenSslFree<OSSL_PARAM_free>>;

void Check(bool succeeded) {
  if (!succeeded) throw CryptoError("a secret could not be encrypted to the TPM's storage key");
}

// Throws unless the parameters make a public key; a point has to be on its curve.
ScopedEvpPkey PublicKey(const char* type, OSSL_PARAM_BLD* builder) {
  const ScopedParams params(OSSL_PARAM_BLD_to_param(builder));
  const ScopedEvpPkeyCtx context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* key = nullptr;
  Check(params && context && EVP_PKEY_fromdata_init(context.get()) == 1 &&
        EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params.get()) == 1);
  return ScopedEvpPkey(key);
}

ScopedEvpPkeyCtx ContextOf(EVP_PKEY* key) {
  ScopedEvpPkeyCtx context(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
  Check(context != nullptr);
  return context;
}

// A new key on the same curve.
ScopedEvpPkey EphemeralKey(EVP_PKEY* peer) {
  const ScopedEvpPkeyCtx context = ContextOf(peer);
  EVP_PKEY* key = nullptr;
  Check(EVP_PKEY_keygen_init(context.get()) == 1 && EVP_PKEY_generate(context.get(), &key) == 1);
  return ScopedEvpPkey(key);
}

// The uncompressed form of `key`'s point (SEC 1, section 2.3.3).
Bytes PointOf(EVP_PKEY* key, size_t coordinate_size) {
  Bytes point(1 + 2 * coordinate_size);
  size_t size = 0;
  Check(EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size(),
                                        &size) == 1 &&
        size == point.size());
  return point;
}

void AppendSized(Bytes& out, ByteView value) {
  out.push_back(static_cast<uint8_t>(value.size() >> 8));
  out.push_back(static_cast<uint8_t>(value.size()));
  out.insert(out.end(), value.begin(), value.end());
}

void AppendPadded(Bytes& out, ByteView coordinate, size_t size) {
  Check(coordinate.size() <= size);
  out.insert(out.end(), size - coordinate.size(), 0);
  out.insert(out.end(), coordinate.begin(), coordinate.end());
}

}  // namespace

struct SecretSharingKey::State {
  ScopedEvpPkey key;
  TpmHash hash;
  Bytes x;                 // of an ECC key, as its TPM reports it
  size_t coordinate_size;  // 0 for RSA
};

SecretSharingKey::SecretSharingKey(std::unique_ptr<State> state) : state_(std::move(state)) {}
SecretSharingKey::SecretSharingKey(SecretSharingKey&&) noexcept = default;
SecretSharingKey& SecretSharingKey::operator=(SecretSharingKey&&) noexcept = default;
SecretSharingKey::~SecretSharingKey() = default;

SecretSharingKey SecretSharingKey::Ecc(TpmCurve curve, ByteView x, ByteView y, TpmHash hash) {
  InitOpenSsl();
  const char* const group = curve == TpmCurve::kP256 ? "P-256" : "P-384";
  const size_t size = curve == TpmCurve::kP256 ? 32 : 48;
  Bytes point{POINT_CONVERSION_UNCOMPRESSED};
  AppendPadded(point, x, size);
  AppendPadded(point, y, size);
  const ScopedParamBld builder(OSSL_PARAM_BLD_new());
  Check(builder &&
        OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, group, 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                         point.size()) == 1);
  return SecretSharingKey(std::make_unique<State>(
      State{PublicKey("EC", builder.get()), hash, Bytes(x.begin(), x.end()), size}));
}

SecretSharingKey SecretSharingKey::Rsa(ByteView modulus, uint32_t exponent, TpmHash hash) {
  InitOpenSsl();
  const ScopedBignum n(BN_bin2bn(modulus.data(), static_cast<int>(modulus.size()), nullptr));
  const ScopedParamBld builder(OSSL_PARAM_BLD_new());
  Check(n && builder &&
        OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) == 1 &&
        OSSL_PARAM_BLD_push_uint32(builder.get(), OSSL_PKEY_PARAM_RSA_E, exponent) == 1);
  return SecretSharingKey(
      std::make_unique<State>(State{PublicKey("RSA", builder.get()), hash, {}, 0}));
}

SharedSecret SecretSharingKey::Share(std::string_view label) const {
  return state_->coordinate_size == 0 ? Encrypt(label) : Agree(label);
}

SharedSecret SecretSharingKey::Agree(std::string_view label) const {
  const size_t coordinate_size = state_->coordinate_size;
  const ScopedEvpPkey ephemeral = EphemeralKey(state_->key.get());
  const Bytes point = PointOf(ephemeral.get(), coordinate_size);
  const ByteView x = ByteView(point).subspan(1, coordinate_size);
  const ByteView y = ByteView(point).subspan(1 + coordinate_size);

  const ScopedEvpPkeyCtx context = ContextOf(ephemeral.get());
  Bytes z(coordinate_size);
  size_t size = z.size();
  // The peer is not validated once more: being on the curve is all there is to check where the
  // cofactor is 1 (SP 800-56A, section 5.6.2.3.4).
  Check(EVP_PKEY_derive_init(context.get()) == 1 &&
        EVP_PKEY_derive_set_peer_ex(context.get(), state_->key.get(), /*validate_peer=*/0) == 1 &&
        EVP_PKEY_derive(context.get(), z.data(), &size) == 1 && size == z.size());

  SharedSecret shared;
  // TPMs put their own x coordinate in as they report it, with or without leading zeros (the
  // specification's reference code, CryptSecretDecrypt in Part 4).
  shared.secret = KdfE(state_->hash, z, label, x, state_->x);
  AppendSized(shared.encrypted, x);
  AppendSized(shared.encrypted, y);
  return shared;
}

SharedSecret SecretSharingKey::Encrypt(std::string_view label) const {
  const char* const hash = OpenSslName(state_->hash);
  Bytes oaep_label(label.begin(), label.end());
  oaep_label.push_back(0);  // here the label's end belongs to it
  const OSSL_PARAM params[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_ASYM_CIPHER_PARAM_PAD_MODE,
                                       const_cast<char*>(OSSL_PKEY_RSA_PAD_MODE_OAEP), 0),
      OSSL_PARAM_construct_utf8_string(OSSL_ASYM_CIPHER_PARAM_OAEP_DIGEST, const_cast<char*>(hash),
                                       0),
      OSSL_PARAM_construct_utf8_string(OSSL_ASYM_CIPHER_PARAM_MGF1_DIGEST, const_cast<char*>(hash),
                                       0),
      OSSL_PARAM_construct_octet_string(OSSL_ASYM_CIPHER_PARAM_OAEP_LABEL, oaep_label.data(),
                                        oaep_label.size()),
      OSSL_PARAM_construct_end()};
  SharedSecret shared{.secret = RandomBytes(DigestSize(state_->hash)), .encrypted = {}};
  const ScopedEvpPkeyCtx context = ContextOf(state_->key.get());
  size_t size = static_cast<size_t>(EVP_PKEY_get_size(state_->key.get()));
  shared.encrypted.resize(size);
  Check(EVP_PKEY_encrypt_init_ex(context.get(), params) == 1 &&
        EVP_PKEY_encrypt(context.get(), shared.encrypted.data(), &size, shared.secret.data(),
                         shared.secret.size()) == 1 &&
        size == shared.encrypted.size());
  return shared;
}

}  // namespace device_key
