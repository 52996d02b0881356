// The one exception type of the native code, and the codes callers can act on.
#ifndef DEVICE_KEY_PLATFORM_ERROR_H_
#define DEVICE_KEY_PLATFORM_ERROR_H_

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace device_key {

// The error codes that native code throws; lib/errors.ts lists these and those of TypeScript. Their
// wire names (`ErrorCodeName`) are stable, because callers compare them and JSON-RPC clients
// receive them as `error.data.code`.
enum class ErrorCode {
  kInvalidParams,
  kInvalidPayload,
  kKeyNotFound,
  kBindingMismatch,
  kHardwareUnavailable,
  kDegradedProtectionNotAllowed,
  kTokenMissing,
  kAttestationUnsupported,
  kPermissionDenied,
  kLibraryMissing,
  kDeviceBusy,
  kDeviceTimeout,
  kTpmLockout,
  kTpmOwnerAuthRequired,
  kKeyLost,
  kUserCanceled,
  kUserPresenceRequired,
  kSessionLocked,
  kMissingEntitlement,
  kPinRequired,
  kPinIncorrect,
  kPinLocked,
  kStoreCorrupt,
  kStoreInsecure,
  kStoreUnwritable,
  kQueueFull,
  kCanceled,
  kClosed,
  kPlatformError,
  kCryptoError,
};

// "invalid_params" for kInvalidParams, and so on.
std::string_view ErrorCodeName(ErrorCode code);

// Thrown by everything in native/ and caught in one place, at the boundary to JavaScript.
//
// The message tells a person what happened and what to do. It never contains payload contents, PINs
// or tokens. `platform_status` is the raw status of the layer below (a TSS2_RC, an HRESULT, a
// CK_RV, an OSStatus), for reports.
class DeviceKeyError : public std::runtime_error {
 public:
  DeviceKeyError(ErrorCode code, const std::string& message,
                 std::optional<uint32_t> platform_status = std::nullopt)
      : std::runtime_error(message), code_(code), platform_status_(platform_status) {}

  ErrorCode code() const { return code_; }
  std::optional<uint32_t> platform_status() const { return platform_status_; }

 private:
  ErrorCode code_;
  std::optional<uint32_t> platform_status_;
};

// Hardware that has answered this process before cannot be reached now. The code may be one that is
// permanent elsewhere (`hardware_unavailable`); this error may be temporary.
class PassingError : public DeviceKeyError {
 public:
  using DeviceKeyError::DeviceKeyError;
  explicit PassingError(const DeviceKeyError& error) : DeviceKeyError(error) {}
};

}  // namespace device_key

#endif  // DEVICE_KEY_PLATFORM_ERROR_H_
