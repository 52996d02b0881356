// A directory that is removed when the test ends.
#ifndef DEVICE_KEY_TEST_PLATFORM_TEMPORARY_DIRECTORY_H_
#define DEVICE_KEY_TEST_PLATFORM_TEMPORARY_DIRECTORY_H_

#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>

#if defined(_WIN32)
#include <random>
#include <vector>

#include "platform/access_list.h"
#else
#include <stdlib.h>
#include <sys/stat.h>
#endif

namespace device_key {

#if defined(_WIN32)
inline std::filesystem::path MakeTemporaryDirectory() {
  std::random_device random;
  const std::filesystem::path path =
      std::filesystem::temp_directory_path() /
      ("device-key-test-" + std::to_string(random()) + std::to_string(random()));
  if (!std::filesystem::create_directory(path)) throw std::runtime_error("no directory");
  return path;
}

// libstdc++'s remove_all sometimes never returns (GCC 12 with Wine).
inline void RemoveTree(const std::filesystem::path& path) {
  std::error_code ignored;
  const std::filesystem::directory_iterator entries(path, ignored);
  const std::vector<std::filesystem::directory_entry> found(begin(entries), end(entries));
  for (const auto& entry : found) RemoveTree(entry.path());
  std::filesystem::remove(path, ignored);
}
#else
inline std::filesystem::path MakeTemporaryDirectory() {
  std::string path = std::filesystem::temp_directory_path() / "device-key-test-XXXXXX";
  if (mkdtemp(path.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
  return path;
}

inline void RemoveTree(const std::filesystem::path& path) {
  std::error_code ignored;
  std::filesystem::remove_all(path, ignored);
}

inline void AllowOthersToWrite(const std::filesystem::path& path) {
  chmod(path.c_str(), std::filesystem::is_directory(path) ? 0777 : 0666);
}

inline void RestrictToThisUser(const std::filesystem::path& path) {
  chmod(path.c_str(), std::filesystem::is_directory(path) ? 0700 : 0600);
}

inline mode_t ModeOf(const std::filesystem::path& path) {
  struct stat status = {};
  lstat(path.c_str(), &status);
  return status.st_mode & 07777;
}
#endif

class TemporaryDirectory {
 public:
  TemporaryDirectory() = default;
  ~TemporaryDirectory() { RemoveTree(path_); }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  const std::filesystem::path path_ = MakeTemporaryDirectory();
};

inline std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

inline void WriteFile(const std::filesystem::path& path, const std::string& contents) {
  std::ofstream(path, std::ios::binary) << contents;
  RestrictToThisUser(path);
}

// The number of entries of a directory, including hidden ones.
inline size_t CountEntries(const std::filesystem::path& path) {
  size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    static_cast<void>(entry);
    ++count;
  }
  return count;
}

}  // namespace device_key

#endif  // DEVICE_KEY_TEST_PLATFORM_TEMPORARY_DIRECTORY_H_
