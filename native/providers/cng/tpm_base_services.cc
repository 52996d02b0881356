#include "providers/cng/tpm_base_services.h"

#include <cstdint>
#include <optional>

#include "platform/dynamic_library.h"
#include "platform/error.h"
#include "platform/windows_api.h"
#include "providers/cng/cng_status.h"

namespace device_key {
namespace {

// TPM_DEVICE_INFO and Tbsi_GetDeviceInfo are as in the Windows SDK's tbs.h; mingw-w64's has
// neither.
struct DeviceInfo {
  uint32_t struct_version;
  uint32_t tpm_version;
  uint32_t interface_type;
  uint32_t implementation_revision;
};
using GetDeviceInfo = uint32_t(WINAPI*)(uint32_t size, void* info);

constexpr uint32_t kTpmVersion12 = 1;          // TPM_VERSION_12; 0 is unknown
constexpr uint32_t kTpmNotFound = 0x8028400F;  // TBS_E_TPM_NOT_FOUND

std::optional<GetDeviceInfo> FindGetDeviceInfo() {
  try {
    return DynamicLibrary::Open("tbs.dll").Symbol<GetDeviceInfo>("Tbsi_GetDeviceInfo");
  } catch (const DeviceKeyError&) {
    return std::nullopt;
  }
}

}  // namespace

void RequireTpm20() {
  const std::optional<GetDeviceInfo> get_device_info = FindGetDeviceInfo();
  if (!get_device_info) return;
  DeviceInfo info{};
  const uint32_t status = (*get_device_info)(sizeof info, &info);
  if (status == kTpmNotFound) throw CngError("find a TPM", static_cast<int32_t>(status));
  if (status == 0 && info.tpm_version == kTpmVersion12) {
    throw DeviceKeyError(ErrorCode::kHardwareUnavailable,
                         "this machine has a TPM 1.2, which has no ECDSA P-256 keys: a TPM 2.0 is "
                         "needed; see whether the firmware's set-up offers one (PTT or fTPM)");
  }
}

}  // namespace device_key
