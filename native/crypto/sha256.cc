#include "crypto/sha256.h"

#include "crypto/openssl.h"

namespace device_key {

Sha256Digest Sha256(ByteView message) {
  InitOpenSsl();
  Sha256Digest digest;
  if (EVP_Digest(message.data(), message.size(), digest.data(), nullptr, EVP_sha256(), nullptr) !=
      1) {
    throw CryptoError("SHA-256 failed");
  }
  return digest;
}

}  // namespace device_key
