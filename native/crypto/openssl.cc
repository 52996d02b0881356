#include "crypto/openssl.h"

#include <openssl/crypto.h>
#include <openssl/err.h>

namespace device_key {

void InitOpenSsl() {
  // The first call in the process decides for good (OPENSSL_init_crypto(3)), and later ones return
  // at once. Both defaults are wrong for a library inside someone else's process: openssl.cnf
  // belongs to the system's OpenSSL and can load providers built for it, and a handler at exit
  // frees what threads that are still running may be using.
  if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, nullptr) != 1) {
    throw DeviceKeyError(ErrorCode::kCryptoError, "OpenSSL could not be initialised");
  }
}

DeviceKeyError CryptoError(const std::string& message) {
  ERR_clear_error();
  return DeviceKeyError(ErrorCode::kCryptoError, message);
}

}  // namespace device_key
