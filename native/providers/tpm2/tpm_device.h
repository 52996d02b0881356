// The kernel's TPM device nodes.
#ifndef DEVICE_KEY_PROVIDERS_TPM2_TPM_DEVICE_H_
#define DEVICE_KEY_PROVIDERS_TPM2_TPM_DEVICE_H_

#include <string>

#include "platform/unique_fd.h"

namespace device_key {

struct TpmDevice {
  UniqueFd fd;
  bool has_resource_manager = false;  // /dev/tpmrmN
  bool is_vtpm_proxy = false;         // a program plays the TPM, which root has arranged
};

// Opens a node such as /dev/tpmrm0. What is open must be a device that the kernel's sysfs lists as
// a TPM: any other character device, such as a pseudo-terminal, may have a software TPM at its end.
// Throws `hardware_unavailable`, `permission_denied`, `device_busy` or `platform_error`, each with
// the cure. Nothing is written to what is not a TPM.
TpmDevice OpenTpmDevice(const std::string& path);

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_TPM2_TPM_DEVICE_H_
