#include "crypto/openssl.h"

#include <openssl/crypto.h>
#include <openssl/err.h>

namespace device_key {

void InitOpenSsl() {
  // Only the first call in the process has an effect (OPENSSL_init_crypto(3)). Both defaults are
  // wrong inside another program's process: openssl.cnf belongs to the system's OpenSSL and can
  // load providers built for it, and the exit handler frees memory that running threads may use.
  if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, nullptr) != 1) {
    throw DeviceKeyError(ErrorCode::kCryptoError, "OpenSSL could not be initialised");
  }
}

DeviceKeyError CryptoError(const std::string& message) {
  ERR_clear_error();
  return DeviceKeyError(ErrorCode::kCryptoError, message);
}

}  // namespace device_key
