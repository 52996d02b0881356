#include "crypto/tpm_hash.h"

#include "crypto/openssl.h"

namespace device_key {

const char* OpenSslName(TpmHash hash) { return hash == TpmHash::kSha256 ? "SHA256" : "SHA384"; }

size_t DigestSize(TpmHash hash) { return hash == TpmHash::kSha256 ? 32 : 48; }

Bytes Digest(TpmHash hash, ByteView message) {
  InitOpenSsl();
  Bytes digest(DigestSize(hash));
  if (EVP_Q_digest(nullptr, OpenSslName(hash), nullptr, message.data(), message.size(),
                   digest.data(), nullptr) != 1) {
    throw CryptoError("a digest failed");
  }
  return digest;
}

}  // namespace device_key
