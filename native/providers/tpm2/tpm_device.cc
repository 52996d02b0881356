#include "providers/tpm2/tpm_device.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <memory>
#include <string>
#include <system_error>

#include "platform/error.h"

namespace device_key {
namespace {

[[noreturn]] void ThrowOpenDevice(const std::string& path, int error) {
  const std::string reason = path + ": " + std::generic_category().message(error);
  switch (error) {
    case EACCES:
    case EPERM:
      throw DeviceKeyError(ErrorCode::kPermissionDenied,
                           "no permission to use the TPM at " + reason +
                               ". Add the user to the group that owns the node, on most systems "
                               "`sudo usermod -aG tss $USER`, then log out and in again");
    case EBUSY:
      throw DeviceKeyError(ErrorCode::kDeviceBusy,
                           "another program holds the TPM at " + reason +
                               ". Use the resource manager's node /dev/tpmrm0, which is shared, "
                               "or try again");
    case EMFILE:
    case ENFILE:
      throw DeviceKeyError(ErrorCode::kPlatformError, "could not open " + reason);
    default:
      throw DeviceKeyError(
          ErrorCode::kHardwareUnavailable,
          "no TPM 2.0 at " + reason +
              ". Enable the TPM (also called fTPM or PTT) in the firmware's set-up; a machine "
              "that has /dev/tpm0 but no /dev/tpmrm0 has a TPM 1.2, which is too old; pass the "
              "node to a container with `--device /dev/tpmrm0`");
  }
}

// `path` with symbolic links resolved; empty if it does not exist.
std::string ResolvedPath(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> resolved(realpath(path.c_str(), nullptr),
                                                             &std::free);
  return resolved == nullptr ? "" : resolved.get();
}

// Whether `path` is in the kernel's sysfs. Another file system may be mounted over it.
bool IsSysfs(const std::string& path) {
  struct statfs status {};
  return statfs(path.c_str(), &status) == 0 && status.f_type == SYSFS_MAGIC;
}

[[noreturn]] void ThrowNoTpm(const std::string& path, const std::string& why) {
  throw DeviceKeyError(ErrorCode::kHardwareUnavailable, "no TPM 2.0 at " + path + ": " + why);
}

}  // namespace

TpmDevice OpenTpmDevice(const std::string& path) {
  // With O_NONBLOCK, the kernel's write() returns before the TPM has answered (Linux 5.0 and
  // later). On older kernels a command blocks in write(), and time limits do not work.
  TpmDevice device{UniqueFd(open(path.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY))};
  if (!device.fd.valid()) ThrowOpenDevice(path, errno);
  struct stat status {};
  if (fstat(device.fd.get(), &status) != 0 || !S_ISCHR(status.st_mode)) {
    ThrowNoTpm(path,
               "it is not a character device. Name the kernel's node, usually device:/dev/tpmrm0");
  }
  // A link to the device with these numbers (Documentation/ABI/testing/sysfs-dev of the kernel).
  // Its link "subsystem" points to the device's class.
  const std::string link = "/sys/dev/char/" + std::to_string(major(status.st_rdev)) + ":" +
                           std::to_string(minor(status.st_rdev));
  if (!IsSysfs("/sys/dev/char")) {
    ThrowNoTpm(
        path,
        "sysfs is not mounted at /sys, so it cannot be checked whether this is a TPM. Mount it "
        "there; pass it to a container with `-v /sys:/sys:ro`");
  }
  const std::string subsystem = ResolvedPath(link + "/subsystem");
  device.has_resource_manager = subsystem == "/sys/class/tpmrm";
  if ((subsystem != "/sys/class/tpm" && !device.has_resource_manager) || !IsSysfs(link)) {
    ThrowNoTpm(path,
               "the kernel does not know this device as a TPM: it is not below /sys/class/tpm or "
               "/sys/class/tpmrm. Name the kernel's node, usually device:/dev/tpmrm0");
  }
  // The kernel's tpm_vtpm_proxy driver creates its chips without a parent device
  // (vtpm_proxy_create_proxy_dev calls tpm_chip_alloc without one). sysfs lists such devices below
  // /sys/devices/virtual.
  device.is_vtpm_proxy = ResolvedPath(link).starts_with("/sys/devices/virtual/");
  return device;
}

}  // namespace device_key
