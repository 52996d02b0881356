#include "platform/error.h"

namespace device_key {

std::string_view ErrorCodeName(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidParams:
      return "invalid_params";
    case ErrorCode::kInvalidPayload:
      return "invalid_payload";
    case ErrorCode::kKeyNotFound:
      return "key_not_found";
    case ErrorCode::kBindingMismatch:
      return "binding_mismatch";
    case ErrorCode::kHardwareUnavailable:
      return "hardware_unavailable";
    case ErrorCode::kDegradedProtectionNotAllowed:
      return "degraded_protection_not_allowed";
    case ErrorCode::kTokenMissing:
      return "token_missing";
    case ErrorCode::kAttestationUnsupported:
      return "attestation_unsupported";
    case ErrorCode::kPermissionDenied:
      return "permission_denied";
    case ErrorCode::kLibraryMissing:
      return "library_missing";
    case ErrorCode::kDeviceBusy:
      return "device_busy";
    case ErrorCode::kDeviceTimeout:
      return "device_timeout";
    case ErrorCode::kTpmLockout:
      return "tpm_lockout";
    case ErrorCode::kTpmOwnerAuthRequired:
      return "tpm_owner_auth_required";
    case ErrorCode::kKeyLost:
      return "key_lost";
    case ErrorCode::kUserCanceled:
      return "user_canceled";
    case ErrorCode::kUserPresenceRequired:
      return "user_presence_required";
    case ErrorCode::kSessionLocked:
      return "session_locked";
    case ErrorCode::kMissingEntitlement:
      return "missing_entitlement";
    case ErrorCode::kPinRequired:
      return "pin_required";
    case ErrorCode::kPinIncorrect:
      return "pin_incorrect";
    case ErrorCode::kPinLocked:
      return "pin_locked";
    case ErrorCode::kStoreCorrupt:
      return "store_corrupt";
    case ErrorCode::kStoreInsecure:
      return "store_insecure";
    case ErrorCode::kStoreUnwritable:
      return "store_unwritable";
    case ErrorCode::kQueueFull:
      return "queue_full";
    case ErrorCode::kCanceled:
      return "canceled";
    case ErrorCode::kClosed:
      return "closed";
    case ErrorCode::kPlatformError:
      return "platform_error";
    case ErrorCode::kCryptoError:
      return "crypto_error";
  }
  return "platform_error";
}

}  // namespace device_key
