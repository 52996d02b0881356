// The kernel's TPM device nodes.
#ifndef DEVICE_KEY_PROVIDERS_TPM2_TPM_DEVICE_H_
#define DEVICE_KEY_PROVIDERS_TPM2_TPM_DEVICE_H_

#include <string>

#include "platform/unique_fd.h"

namespace device_key {

struct TpmDevice {
  UniqueFd fd;
  bool has_resource_manager = false;  // /dev/tpmrmN
  bool is_vtpm_proxy = false;         // a program emulates the TPM; only root can set that up
};

// Opens a node such as /dev/tpmrm0. The open file must be a device that the kernel's sysfs lists as
// a TPM: a software TPM may be behind any other character device, such as a pseudo-terminal. Writes
// nothing to a device that is not a TPM. Throws `hardware_unavailable`, `permission_denied`,
// `device_busy` or `platform_error`; each message tells the cure.
TpmDevice OpenTpmDevice(const std::string& path);

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_TPM2_TPM_DEVICE_H_
