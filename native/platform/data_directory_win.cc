#include <optional>
#include <string>

#include "platform/data_directory.h"
#include "platform/error.h"
#include "platform/windows_api.h"

namespace device_key {
namespace {

namespace fs = std::filesystem;

// The profile's directory for data that stays on this machine: keys in a TPM do not roam.
fs::path LocalAppData() {
  if (const auto local = WindowsVariable(L"LOCALAPPDATA");
      local && fs::path(*local).is_absolute()) {
    return *local;
  }
  if (const auto profile = WindowsVariable(L"USERPROFILE");
      profile && fs::path(*profile).is_absolute()) {
    return fs::path(*profile) / "AppData" / "Local";
  }
  throw DeviceKeyError(ErrorCode::kStoreUnwritable,
                       "This user has no profile to keep key records in: set LOCALAPPDATA, or name "
                       "a directory in DEVICE_KEY_HOME");
}

}  // namespace

fs::path DefaultStoreDirectory() {
  const std::optional<std::wstring> chosen = WindowsVariable(L"DEVICE_KEY_HOME");
  return fs::absolute(chosen ? fs::path(*chosen) : LocalAppData() / "device-keys");
}

}  // namespace device_key
