#include "crypto/sha256.h"

#include "crypto/openssl.h"

namespace device_key {

namespace {

// Fetched once, and never freed: with EVP_sha256() every digest looks its implementation up anew,
// which costs more than the digest of a short message (EVP_MD_fetch(3), "Implicit fetching").
const EVP_MD* FetchedSha256() {
  static const EVP_MD* const fetched = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  return fetched;
}

}  // namespace

Sha256Digest Sha256(ByteView message) {
  InitOpenSsl();
  Sha256Digest digest;
  if (EVP_Digest(message.data(), message.size(), digest.data(), nullptr, FetchedSha256(),
                 nullptr) != 1) {
    throw CryptoError("SHA-256 failed");
  }
  return digest;
}

}  // namespace device_key
