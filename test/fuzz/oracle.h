// Checks that every fuzz target uses.
#ifndef DEVICE_KEY_FUZZ_ORACLE_H_
#define DEVICE_KEY_FUZZ_ORACLE_H_

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <optional>
#include <string_view>

#include "platform/error.h"

namespace device_key {

// Unless `holds`, ends the process, which libFuzzer reports as a finding.
inline void Require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

// Returns the result of `decode`, or nullopt if it throws a DeviceKeyError with one of `codes`. Any
// other exception ends the process.
template <class Decode>
auto Accepted(std::initializer_list<ErrorCode> codes, Decode decode)
    -> std::optional<decltype(decode())> {
  try {
    return decode();
  } catch (const DeviceKeyError& error) {
    if (std::find(codes.begin(), codes.end(), error.code()) == codes.end()) {
      std::fprintf(stderr, "%s: %s\n", ErrorCodeName(error.code()).data(), error.what());
    }
    Require(std::find(codes.begin(), codes.end(), error.code()) != codes.end(),
            "only the documented error codes are thrown");
    Require(error.what()[0] != '\0', "an error has a message");
    return std::nullopt;
  }
}

inline std::string_view Text(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace device_key

#endif  // DEVICE_KEY_FUZZ_ORACLE_H_
