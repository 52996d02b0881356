// The one exception type of the native code, and the codes callers can act on.
#ifndef DEVICE_KEY_PLATFORM_ERROR_H_
#define DEVICE_KEY_PLATFORM_ERROR_H_

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace device_key {

// The machine codes that native code throws; lib/errors.ts has them and those of TypeScript. Their
// wire names (`ErrorCodeName`) are stable: callers switch on them, and JSON-RPC clients receive
// them as `error.data.code`.
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

// Thrown by everything in native/ and caught once, at the boundary to JavaScript.
//
// The message says what happened and what to do about it, for a person; it never holds payload
// contents, PINs or tokens. `platform_status` is the raw status of the layer below (a TSS2_RC, an
// HRESULT, a CK_RV, an OSStatus), kept for reports.
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

// Hardware that has answered this process cannot be reached now. Its code may be one that means a
// lasting reason elsewhere (`hardware_unavailable`), but this one may pass.
class PassingError : public DeviceKeyError {
 public:
  using DeviceKeyError::DeviceKeyError;
  explicit PassingError(const DeviceKeyError& error) : DeviceKeyError(error) {}
};

}  // namespace device_key

#endif  // DEVICE_KEY_PLATFORM_ERROR_H_
