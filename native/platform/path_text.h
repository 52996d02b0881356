// Paths as UTF-8 text, as JavaScript and our messages have them.
#ifndef DEVICE_KEY_PLATFORM_PATH_TEXT_H_
#define DEVICE_KEY_PLATFORM_PATH_TEXT_H_

#include <filesystem>
#include <string>
#include <string_view>

namespace device_key {

// std::filesystem takes a plain `char` for the system's code page where there is one (Windows, with
// MSVC's library); char8_t is UTF-8 everywhere. On POSIX both are the bytes as they are.
inline std::filesystem::path PathFromUtf8(std::string_view text) {
  return std::filesystem::path(std::u8string(text.begin(), text.end()));
}

inline std::string Utf8FromPath(const std::filesystem::path& path) {
  const std::u8string text = path.u8string();
  return std::string(text.begin(), text.end());
}

}  // namespace device_key

#endif  // DEVICE_KEY_PLATFORM_PATH_TEXT_H_
