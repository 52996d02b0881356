#include "crypto/aes_cfb.h"

#include "crypto/openssl.h"

namespace device_key {

void EncryptAes128Cfb(std::span<const uint8_t, 16> key, std::span<const uint8_t, 16> iv,
                      std::span<uint8_t> data) {
  InitOpenSsl();
  const std::unique_ptr<EVP_CIPHER_CTX, OpenSslFree<EVP_CIPHER_CTX_free>> context(
      EVP_CIPHER_CTX_new());
  int size = 0;
  if (!context ||
      EVP_EncryptInit_ex2(context.get(), EVP_aes_128_cfb128(), key.data(), iv.data(), nullptr) !=
          1 ||
      EVP_EncryptUpdate(context.get(), data.data(), &size, data.data(),
                        static_cast<int>(data.size())) != 1 ||
      static_cast<size_t>(size) != data.size()) {
    throw CryptoError("AES failed");
  }
}

}  // namespace device_key
