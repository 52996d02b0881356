#include "platform/data_directory.h"

#include <pwd.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <string>
#include <vector>

#include "platform/environment.h"
#include "platform/error.h"

namespace device_key {
namespace {

namespace fs = std::filesystem;

std::optional<fs::path> HomeFromPasswordDatabase() {
  std::vector<char> buffer(1024);
  passwd entry;
  passwd* found = nullptr;
  int status;
  // Entries have no maximum size, so retry with a larger buffer (getpwuid_r(3)), up to a megabyte.
  while ((status = getpwuid_r(geteuid(), &entry, buffer.data(), buffer.size(), &found)) == EINTR ||
         (status == ERANGE && buffer.size() < (1 << 20))) {
    if (status == ERANGE) buffer.resize(buffer.size() * 2);
  }
  if (found == nullptr || found->pw_dir == nullptr || *found->pw_dir == '\0') return std::nullopt;
  return found->pw_dir;
}

fs::path Home(const Environment& environment) {
  std::optional<fs::path> home = environment.Get("HOME");
  if (!home) home = HomeFromPasswordDatabase();
  if (!home) {
    throw DeviceKeyError(
        ErrorCode::kStoreUnwritable,
        "this user has no home directory to keep key records in: set HOME, or name "
        "a directory in DEVICE_KEY_HOME");
  }
  return *home;
}

fs::path UserDataDirectory(const Environment& environment) {
#ifdef __APPLE__
  return Home(environment) / "Library" / "Application Support";
#else
  // XDG Base Directory Specification: "If an implementation encounters a relative path in any of
  // these variables it should consider the path invalid and ignore it."
  const std::optional<fs::path> data_home = environment.Get("XDG_DATA_HOME");
  if (data_home && data_home->is_absolute()) return *data_home;
  return Home(environment) / ".local" / "share";
#endif
}

}  // namespace

fs::path DefaultStoreDirectory(const Environment& environment) {
  const std::optional<fs::path> chosen = environment.Get("DEVICE_KEY_HOME");
  return fs::absolute(chosen ? *chosen : UserDataDirectory(environment) / "device-keys");
}

}  // namespace device_key
