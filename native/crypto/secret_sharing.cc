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

// An uncompressed point (SEC 1, section 2.3.3), and its halves.
class Point {
 public:
  Point(ByteView x, ByteView y, size_t coordinate_size) : size_(coordinate_size) {
    Check(x.size() <= size_ && y.size() <= size_);  // hardware drops leading zeros
    bytes_.push_back(0x04);
    bytes_.insert(bytes_.end(), size_ - x.size(), 0);
    bytes_.insert(bytes_.end(), x.begin(), x.end());
    bytes_.insert(bytes_.end(), size_ - y.size(), 0);
    bytes_.insert(bytes_.end(), y.begin(), y.end());
  }
  // The public half of `key`.
  Point(EVP_PKEY* key, size_t coordinate_size) : size_(coordinate_size), bytes_(1 + 2 * size_) {
    size_t length = 0;
    Check(EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, bytes_.data(),
                                          bytes_.size(), &length) == 1 &&
          length == bytes_.size());
  }

  ByteView bytes() const { return bytes_; }
  ByteView x() const { return ByteView(bytes_).subspan(1, size_); }
  ByteView y() const { return ByteView(bytes_).subspan(1 + size_, size_); }

 private:
  size_t size_;
  Bytes bytes_;
};

void AppendSized(Bytes& out, ByteView value) {
  out.push_back(static_cast<uint8_t>(value.size() >> 8));
  out.push_back(static_cast<uint8_t>(value.size()));
  out.insert(out.end(), value.begin(), value.end());
}

// The x coordinate of the product of `own` private key and `peer`, as long as a coordinate.
Bytes Agree(EVP_PKEY* own, EVP_PKEY* peer, size_t coordinate_size) {
  const ScopedEvpPkeyCtx context(EVP_PKEY_CTX_new_from_pkey(nullptr, own, nullptr));
  Bytes z(coordinate_size);
  size_t size = z.size();
  // Not validated once more: being on the curve is all there is to check where the cofactor is 1
  // (SP 800-56A, section 5.6.2.3.4).
  Check(context && EVP_PKEY_derive_init(context.get()) == 1 &&
        EVP_PKEY_derive_set_peer_ex(context.get(), peer, /*validate_peer=*/0) == 1 &&
        EVP_PKEY_derive(context.get(), z.data(), &size) == 1 && size == z.size());
  return z;
}

}  // namespace

SharedSecret ShareSecret(TpmCurve curve, ByteView x, ByteView y, TpmHash hash,
                         std::string_view label) {
  InitOpenSsl();
  const char* const group = curve == TpmCurve::kP256 ? "P-256" : "P-384";
  const size_t size = curve == TpmCurve::kP256 ? 32 : 48;
  const Point theirs(x, y, size);
  const ScopedParamBld builder(OSSL_PARAM_BLD_new());
  Check(builder &&
        OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, group, 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY,
                                         theirs.bytes().data(), theirs.bytes().size()) == 1);
  const ScopedEvpPkey peer = PublicKey("EC", builder.get());
  const ScopedEvpPkey ephemeral(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", group));
  Check(ephemeral != nullptr);
  const Point ours(ephemeral.get(), size);

  SharedSecret shared;
  // TPMs put their own x coordinate in as they report it, with or without leading zeros (the
  // specification's reference code, CryptSecretDecrypt in Part 4).
  shared.secret = KdfE(hash, Agree(ephemeral.get(), peer.get(), size), label, ours.x(), x);
  AppendSized(shared.encrypted, ours.x());
  AppendSized(shared.encrypted, ours.y());
  return shared;
}

SharedSecret ShareSecret(ByteView modulus, uint32_t exponent, TpmHash hash,
                         std::string_view label) {
  InitOpenSsl();
  const ScopedBignum n(BN_bin2bn(modulus.data(), static_cast<int>(modulus.size()), nullptr));
  const ScopedParamBld builder(OSSL_PARAM_BLD_new());
  Check(n && builder &&
        OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) == 1 &&
        OSSL_PARAM_BLD_push_uint32(builder.get(), OSSL_PKEY_PARAM_RSA_E, exponent) == 1);
  const ScopedEvpPkey key = PublicKey("RSA", builder.get());

  SharedSecret shared{.secret = RandomBytes(DigestSize(hash)), .encrypted = Bytes(modulus.size())};
  // For OAEP the label's end belongs to it.
  Bytes oaep_label(label.begin(), label.end());
  oaep_label.push_back(0);
  const OSSL_PARAM params[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_ASYM_CIPHER_PARAM_PAD_MODE,
                                       const_cast<char*>(OSSL_PKEY_RSA_PAD_MODE_OAEP), 0),
      OSSL_PARAM_construct_utf8_string(OSSL_ASYM_CIPHER_PARAM_OAEP_DIGEST,
                                       const_cast<char*>(OpenSslName(hash)), 0),
      OSSL_PARAM_construct_utf8_string(OSSL_ASYM_CIPHER_PARAM_MGF1_DIGEST,
                                       const_cast<char*>(OpenSslName(hash)), 0),
      OSSL_PARAM_construct_octet_string(OSSL_ASYM_CIPHER_PARAM_OAEP_LABEL, oaep_label.data(),
                                        oaep_label.size()),
      OSSL_PARAM_construct_end()};
  const ScopedEvpPkeyCtx context(EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr));
  size_t size = shared.encrypted.size();
  Check(context && EVP_PKEY_encrypt_init_ex(context.get(), params) == 1 &&
        EVP_PKEY_encrypt(context.get(), shared.encrypted.data(), &size, shared.secret.data(),
                         shared.secret.size()) == 1 &&
        size == shared.encrypted.size());
  return shared;
}

}  // namespace device_key
