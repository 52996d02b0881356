#include "crypto/tpm_kdf.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>

#include <memory>
#include <string>

#include "crypto/openssl.h"

namespace device_key {
namespace {

using ScopedEvpKdf = std::unique_ptr<EVP_KDF, OpenSslFree<EVP_KDF_free>>;
using ScopedEvpKdfCtx = std::unique_ptr<EVP_KDF_CTX, OpenSslFree<EVP_KDF_CTX_free>>;

Bytes Joined(std::initializer_list<ByteView> parts) {
  Bytes joined;
  for (const ByteView part : parts) joined.insert(joined.end(), part.begin(), part.end());
  return joined;
}

// OSSL_PARAM holds pointers to non-const; what is only set is never written to.
OSSL_PARAM Octets(const char* name, ByteView value) {
  return OSSL_PARAM_construct_octet_string(name, const_cast<uint8_t*>(value.data()), value.size());
}

OSSL_PARAM Text(const char* name, const char* value) {
  return OSSL_PARAM_construct_utf8_string(name, const_cast<char*>(value), 0);
}

Bytes Derive(const char* kdf, const OSSL_PARAM* params, size_t size) {
  InitOpenSsl();
  const ScopedEvpKdf implementation(EVP_KDF_fetch(nullptr, kdf, nullptr));
  const ScopedEvpKdfCtx context(EVP_KDF_CTX_new(implementation.get()));
  Bytes derived(size);
  if (!context || EVP_KDF_derive(context.get(), derived.data(), size, params) != 1) {
    throw CryptoError("deriving a session key failed");
  }
  return derived;
}

}  // namespace

// KDFa is the counter mode of SP 800-108 that OpenSSL calls KBKDF: its separator is the zero byte
// that ends the label.
Bytes KdfA(ByteView key, std::string_view label, ByteView context_u, ByteView context_v,
           size_t size) {
  const Bytes context = Joined({context_u, context_v});
  const OSSL_PARAM params[] = {Text(OSSL_KDF_PARAM_MODE, "COUNTER"),
                               Text(OSSL_KDF_PARAM_MAC, "HMAC"),
                               Text(OSSL_KDF_PARAM_DIGEST, "SHA256"),
                               Octets(OSSL_KDF_PARAM_KEY, key),
                               Octets(OSSL_KDF_PARAM_SALT, AsBytes(label)),
                               Octets(OSSL_KDF_PARAM_INFO, context),
                               OSSL_PARAM_construct_end()};
  return Derive("KBKDF", params, size);
}

// KDFe is the concatenation KDF of SP 800-56A that OpenSSL calls SSKDF.
Bytes KdfE(TpmHash hash, ByteView z, std::string_view label, ByteView party_u, ByteView party_v) {
  constexpr uint8_t kLabelEnd[] = {0};
  const Bytes info = Joined({AsBytes(label), kLabelEnd, party_u, party_v});
  const OSSL_PARAM params[] = {Text(OSSL_KDF_PARAM_DIGEST, OpenSslName(hash)),
                               Octets(OSSL_KDF_PARAM_KEY, z), Octets(OSSL_KDF_PARAM_INFO, info),
                               OSSL_PARAM_construct_end()};
  return Derive("SSKDF", params, DigestSize(hash));
}

Sha256Digest HmacSha256(ByteView key, std::initializer_list<ByteView> parts) {
  InitOpenSsl();
  const Bytes message = Joined(parts);
  Sha256Digest mac;
  if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), message.data(), message.size(),
           mac.data(), nullptr) == nullptr) {
    throw CryptoError("HMAC-SHA-256 failed");
  }
  return mac;
}

}  // namespace device_key
