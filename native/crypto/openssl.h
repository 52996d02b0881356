// The parts of OpenSSL 3 that crypto/ and providers/tpm2/ use.
#ifndef DEVICE_KEY_CRYPTO_OPENSSL_H_
#define DEVICE_KEY_CRYPTO_OPENSSL_H_

#include <openssl/ec.h>
#include <openssl/evp.h>

#include <memory>
#include <string>

#include "platform/error.h"

namespace device_key {

template <auto kFree>
struct OpenSslFree {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};

using ScopedEvpPkey = std::unique_ptr<EVP_PKEY, OpenSslFree<EVP_PKEY_free>>;
using ScopedEvpPkeyCtx = std::unique_ptr<EVP_PKEY_CTX, OpenSslFree<EVP_PKEY_CTX_free>>;
using ScopedEcdsaSig = std::unique_ptr<ECDSA_SIG, OpenSslFree<ECDSA_SIG_free>>;
using ScopedEcPoint = std::unique_ptr<EC_POINT, OpenSslFree<EC_POINT_free>>;
using ScopedBignum = std::unique_ptr<BIGNUM, OpenSslFree<BN_free>>;

// Every function that calls OpenSSL must call this first. Throws `crypto_error`.
void InitOpenSsl();

// A `crypto_error`. Also empties OpenSSL's queue of errors, because a later, unrelated call
// on this thread would report them.
DeviceKeyError CryptoError(const std::string& message);

}  // namespace device_key

#endif  // DEVICE_KEY_CRYPTO_OPENSSL_H_
