// Byte containers used across the native code.
#ifndef DEVICE_KEY_CRYPTO_BYTES_H_
#define DEVICE_KEY_CRYPTO_BYTES_H_

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace device_key {

using Bytes = std::vector<uint8_t>;
using ByteView = std::span<const uint8_t>;

// The characters of `text` as bytes, without a copy.
inline ByteView AsBytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

}  // namespace device_key

#endif  // DEVICE_KEY_CRYPTO_BYTES_H_
