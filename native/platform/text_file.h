#ifndef DEVICE_KEY_PLATFORM_TEXT_FILE_H_
#define DEVICE_KEY_PLATFORM_TEXT_FILE_H_

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

namespace device_key {

// The content of a small file of the system, empty if it cannot be read. For POSIX. std::ifstream
// would link libc++'s locales, a tenth of the prebuilt addon.
inline std::string ReadTextFile(const std::filesystem::path& path) {
  struct Closer {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  const std::unique_ptr<std::FILE, Closer> file(std::fopen(path.c_str(), "re"));  // e: O_CLOEXEC
  std::string text;
  if (!file) return text;
  char block[4096];
  while (const size_t count = std::fread(block, 1, sizeof block, file.get())) {
    text.append(block, count);
  }
  return text;
}

}  // namespace device_key

#endif  // DEVICE_KEY_PLATFORM_TEXT_FILE_H_
