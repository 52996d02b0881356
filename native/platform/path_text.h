// Conversion between paths and UTF-8 text, which JavaScript and our messages use.
#ifndef DEVICE_KEY_PLATFORM_PATH_TEXT_H_
#define DEVICE_KEY_PLATFORM_PATH_TEXT_H_

#include <filesystem>
#include <string>
#include <string_view>

namespace device_key {

// On Windows, std::filesystem reads a plain `char` path in the system's code page (with MSVC's
// library), and a char8_t path as UTF-8 everywhere. On POSIX both are the bytes of the path.
inline std::filesystem::path PathFromUtf8(std::string_view text) {
  return std::filesystem::path(std::u8string(text.begin(), text.end()));
}

inline std::string Utf8FromPath(const std::filesystem::path& path) {
  const std::u8string text = path.u8string();
  return std::string(text.begin(), text.end());
}

}  // namespace device_key

#endif  // DEVICE_KEY_PLATFORM_PATH_TEXT_H_
