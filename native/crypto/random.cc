#include "crypto/random.h"

#include <openssl/rand.h>

#include <climits>

#include "crypto/openssl.h"

namespace device_key {

Bytes RandomBytes(size_t count) {
  InitOpenSsl();
  Bytes bytes(count);
  if (count > INT_MAX || RAND_bytes(bytes.data(), static_cast<int>(count)) != 1) {
    throw CryptoError("the operating system's random number generator failed");
  }
  return bytes;
}

}  // namespace device_key
