#include <optional>
#include <string>

#include "platform/data_directory.h"
#include "platform/environment.h"
#include "platform/error.h"
#include "platform/path_text.h"

namespace device_key {
namespace {

namespace fs = std::filesystem;

std::optional<fs::path> PathFrom(const Environment& environment, const char* name) {
  const std::optional<std::string> value = environment.Get(name);
  if (!value) return std::nullopt;
  return PathFromUtf8(*value);
}

// Local, not roaming, application data: keys in a TPM do not roam.
fs::path LocalAppData(const Environment& environment) {
  if (const auto local = PathFrom(environment, "LOCALAPPDATA"); local && local->is_absolute()) {
    return *local;
  }
  if (const auto profile = PathFrom(environment, "USERPROFILE");
      profile && profile->is_absolute()) {
    return *profile / "AppData" / "Local";
  }
  throw DeviceKeyError(ErrorCode::kStoreUnwritable,
                       "This user has no profile to keep key records in: set LOCALAPPDATA, or name "
                       "a directory in DEVICE_KEY_HOME");
}

}  // namespace

fs::path DefaultStoreDirectory(const Environment& environment) {
  const std::optional<fs::path> chosen = PathFrom(environment, "DEVICE_KEY_HOME");
  return fs::absolute(chosen ? *chosen : LocalAppData(environment) / "device-keys");
}

}  // namespace device_key
