#include "providers/cng/cng_status.h"

#include <array>
#include <cstdio>
#include <string>

#include "platform/windows_api.h"

namespace device_key {
namespace {

constexpr char kGone[] =
    "The key is gone: Windows Hello or the PIN was reset, the TPM was cleared, or the profile was "
    "replaced; enroll again.";
constexpr char kNoTpm[] =
    "This machine has no TPM that Windows can use; enable it (TPM, PTT or fTPM) in the firmware's "
    "set-up.";
constexpr char kNotReady[] =
    "The TPM is not ready; open tpm.msc, follow what it says under Status, restart, and try again.";
constexpr char kBusy[] = "The TPM is busy; try again.";
constexpr char kOccupied[] = "Other programs occupy the TPM; try again when they have finished.";
constexpr char kNotPrepared[] =
    "Windows has not taken the TPM into use; choose \"Prepare the TPM\" in tpm.msc as an "
    "administrator.";
constexpr char kWantsToAsk[] =
    "The key store wants to ask the user, which device keys never do; remove the policy of strong "
    "key protection, then enroll again.";
constexpr char kDenied[] =
    "This account may not use the key store; run as the user who made the key, or ask an "
    "administrator.";
constexpr char kLockedOut[] =
    "The TPM refuses keys after too many wrong authorizations; wait for its lockout to end, or "
    "clear it in tpm.msc as an administrator.";
constexpr char kNoP256[] = "This TPM or key store has no ECDSA P-256 keys; a TPM 2.0 is needed.";
constexpr char kSize[] =
    "The key store answered with an unexpected size; report this with its version of Windows and "
    "its TPM.";
// "The TPM operation failed or was invalid, probably because of a bad sysprep image" (Microsoft on
// NTE_BAD_KEYSET where a device joins Entra ID, which makes a key as well).
constexpr char kMismatched[] =
    "The key store and its TPM do not belong together: the disk was cloned, another system cleared "
    "the TPM, or the profile is damaged. See Status in tpm.msc, restart, and try again.";
constexpr char kAuthorization[] =
    "The TPM asks for an authorization that device keys do not have: something has changed the "
    "key; enroll again.";

// The numbers are from winerror.h of the Windows SDK; mingw-w64's winerror.h lacks most of them.
// For TPM_20_E_*, the low 16 bits are the response code of the TPM 2.0 (TPM 2.0 Part 2,
// section 6.6).
constexpr auto kStatuses = std::to_array<CngStatus>({
    {0x80090005, "NTE_BAD_DATA", ErrorCode::kKeyLost, kGone},
    {0x80090008, "NTE_BAD_ALGID", ErrorCode::kHardwareUnavailable, kNoP256},
    {0x80090009, "NTE_BAD_FLAGS", ErrorCode::kPlatformError,
     "The key store does not take a flag that this version of node-device-key passes; please "
     "report "
     "this with the version of Windows and the maker of the TPM."},
    {0x8009000b, "NTE_BAD_KEY_STATE", ErrorCode::kKeyLost, kGone},
    {0x8009000d, "NTE_NO_KEY", ErrorCode::kKeyLost, kGone},
    {0x8009000e, "NTE_NO_MEMORY", ErrorCode::kDeviceBusy,
     "Windows is short of memory; close programs and try again."},
    {0x8009000f, "NTE_EXISTS", ErrorCode::kPlatformError,
     "A key with that name already exists and was not changed; try again with another name."},
    {0x80090010, "NTE_PERM", ErrorCode::kPermissionDenied, kDenied},
    {0x80090011, "NTE_NOT_FOUND", ErrorCode::kKeyLost, kGone},
    {0x80090013, "NTE_BAD_PROVIDER", ErrorCode::kHardwareUnavailable,
     "This Windows has no such key store; Windows 10 or newer is needed."},
    {0x80090016, "NTE_BAD_KEYSET", ErrorCode::kKeyLost, kGone},
    {0x8009001a, "NTE_KEYSET_ENTRY_BAD", ErrorCode::kKeyLost, kGone},
    {0x8009001d, "NTE_PROVIDER_DLL_FAIL", ErrorCode::kHardwareUnavailable,
     "The key store's library cannot be used; repair Windows (sfc /scannow)."},
    {0x8009001e, "NTE_PROV_DLL_NOT_FOUND", ErrorCode::kHardwareUnavailable,
     "The key store's library is missing; repair Windows (sfc /scannow)."},
    {0x80090020, "NTE_FAIL", ErrorCode::kPlatformError,
     "The key store failed; restart Windows, and update the TPM's firmware if it fails again."},
    {0x80090022, "NTE_SILENT_CONTEXT", ErrorCode::kUserPresenceRequired, kWantsToAsk},
    {0x80090024, "NTE_TEMPORARY_PROFILE", ErrorCode::kStoreUnwritable,
     "The user is signed in with a temporary profile, which keeps no keys; sign out, have the "
     "profile repaired, and sign in again."},
    {0x80090028, "NTE_BUFFER_TOO_SMALL", ErrorCode::kPlatformError, kSize},
    {0x80090029, "NTE_NOT_SUPPORTED", ErrorCode::kHardwareUnavailable, kNoP256},
    {0x8009002d, "NTE_INTERNAL_ERROR", ErrorCode::kPlatformError,
     "The key store failed; restart Windows, and update the TPM's firmware if it fails again."},
    {0x8009002e, "NTE_UI_REQUIRED", ErrorCode::kUserPresenceRequired, kWantsToAsk},
    {0x80090030, "NTE_DEVICE_NOT_READY", ErrorCode::kDeviceBusy, kNotReady},
    {0x80090031, "NTE_AUTHENTICATION_IGNORED", ErrorCode::kTpmLockout, kLockedOut},
    {0x80090035, "NTE_DEVICE_NOT_FOUND", ErrorCode::kHardwareUnavailable, kNoTpm},
    {0x80090036, "NTE_USER_CANCELLED", ErrorCode::kUserCanceled, "The user declined; try again."},
    {0x80090039, "NTE_VBS_UNAVAILABLE", ErrorCode::kHardwareUnavailable,
     "The key is isolated by virtualization-based security, which does not run now; switch it on "
     "again (msinfo32 shows its state), or delete the key and enroll again."},
    {0x8009003a, "NTE_VBS_CANNOT_DECRYPT_KEY", ErrorCode::kKeyLost,
     "The isolated key can no longer be decrypted: the TPM was cleared, or the firmware or its "
     "Secure "
     "Boot settings were replaced; delete the key and enroll again."},
    {0x800704c7, "ERROR_CANCELLED", ErrorCode::kUserCanceled, "The user declined; try again."},
    {0x80070005, "E_ACCESSDENIED", ErrorCode::kPermissionDenied, kDenied},
    {0x80070070, "ERROR_DISK_FULL", ErrorCode::kStoreUnwritable,
     "The disk is full; free some space and try again."},
    {0x80070422, "ERROR_SERVICE_DISABLED", ErrorCode::kHardwareUnavailable,
     "The service \"CNG Key Isolation\" (KeyIso) is disabled; enable it."},
    {0x800706ba, "RPC_S_SERVER_UNAVAILABLE", ErrorCode::kDeviceBusy,
     "The service \"CNG Key Isolation\" (KeyIso) does not answer; try again, or restart Windows."},
    {0x80280036, "TPM_E_NOTFIPS", ErrorCode::kHardwareUnavailable,
     "The TPM is in FIPS mode, in which Windows does not use it; switch that off in the firmware's "
     "set-up."},
    {0x80280081, "TPM_20_E_ASYMMETRIC", ErrorCode::kHardwareUnavailable, kNoP256},
    {0x80280085, "TPM_20_E_HIERARCHY", ErrorCode::kHardwareUnavailable,
     "The TPM's owner hierarchy is disabled; enable it in the firmware's set-up."},
    {0x8028008b, "TPM_20_E_HANDLE", ErrorCode::kKeyLost, kGone},
    {0x8028008e, "TPM_20_E_AUTH_FAIL", ErrorCode::kPlatformError, kAuthorization},
    {0x80280092, "TPM_20_E_SCHEME", ErrorCode::kHardwareUnavailable, kNoP256},
    {0x80280095, "TPM_20_E_SIZE", ErrorCode::kPlatformError, kSize},
    {0x8028009f, "TPM_20_E_INTEGRITY", ErrorCode::kKeyLost, kGone},
    {0x802800a2, "TPM_20_E_BAD_AUTH", ErrorCode::kPlatformError, kAuthorization},
    {0x802800a6, "TPM_20_E_CURVE", ErrorCode::kHardwareUnavailable, kNoP256},
    {0x80280100, "TPM_20_E_INITIALIZE", ErrorCode::kPlatformError,
     "The TPM has not been started by the firmware; power the machine off and on again."},
    {0x80280101, "TPM_20_E_FAILURE", ErrorCode::kPlatformError,
     "The TPM is in failure mode; power the machine off and on again."},
    {0x80280120, "TPM_20_E_DISABLED", ErrorCode::kHardwareUnavailable, kNoTpm},
    {0x80280123, "TPM_20_E_ECC_CURVE", ErrorCode::kHardwareUnavailable, kNoP256},
    {0x80280130, "TPM_20_E_REBOOT", ErrorCode::kDeviceBusy,
     "The TPM needs a restart; restart the machine and try again."},
    {0x80280143, "TPM_20_E_COMMAND_CODE", ErrorCode::kHardwareUnavailable, kNoP256},
    {0x80280400, "TPM_E_COMMAND_BLOCKED", ErrorCode::kPermissionDenied,
     "A policy blocks this command of the TPM (tpm.msc, Command Management); ask an "
     "administrator."},
    {0x80280800, "TPM_E_RETRY", ErrorCode::kDeviceBusy, kBusy},
    {0x80280801, "TPM_E_NEEDS_SELFTEST", ErrorCode::kDeviceBusy, kBusy},
    {0x80280802, "TPM_E_DOING_SELFTEST", ErrorCode::kDeviceBusy, kBusy},
    {0x80280803, "TPM_E_DEFEND_LOCK_RUNNING", ErrorCode::kTpmLockout, kLockedOut},
    {0x80280902, "TPM_20_E_OBJECT_MEMORY", ErrorCode::kDeviceBusy, kOccupied},
    {0x80280903, "TPM_20_E_SESSION_MEMORY", ErrorCode::kDeviceBusy, kOccupied},
    {0x80280904, "TPM_20_E_MEMORY", ErrorCode::kDeviceBusy, kOccupied},
    {0x80280905, "TPM_20_E_SESSION_HANDLES", ErrorCode::kDeviceBusy, kOccupied},
    {0x80280906, "TPM_20_E_OBJECT_HANDLES", ErrorCode::kDeviceBusy, kOccupied},
    {0x80280908, "TPM_20_E_YIELDED", ErrorCode::kDeviceBusy, kBusy},
    {0x80280909, "TPM_20_E_CANCELED", ErrorCode::kDeviceBusy, kBusy},
    {0x8028090a, "TPM_20_E_TESTING", ErrorCode::kDeviceBusy, kBusy},
    {0x80280920, "TPM_20_E_NV_RATE", ErrorCode::kDeviceBusy, kBusy},
    {0x80280921, "TPM_20_E_LOCKOUT", ErrorCode::kTpmLockout, kLockedOut},
    {0x80280922, "TPM_20_E_RETRY", ErrorCode::kDeviceBusy, kBusy},
    {0x80280923, "TPM_20_E_NV_UNAVAILABLE", ErrorCode::kDeviceBusy, kBusy},
    {0x80284006, "TBS_E_IOERROR", ErrorCode::kPlatformError,
     "Windows cannot reach the TPM; power the machine off and on again."},
    {0x80284008, "TBS_E_SERVICE_NOT_RUNNING", ErrorCode::kDeviceBusy,
     "The service \"TPM Base Services\" (TBS) does not run; start it, or restart Windows."},
    {0x80284009, "TBS_E_TOO_MANY_TBS_CONTEXTS", ErrorCode::kDeviceBusy, kOccupied},
    {0x8028400a, "TBS_E_TOO_MANY_RESOURCES", ErrorCode::kDeviceBusy, kOccupied},
    {0x8028400b, "TBS_E_SERVICE_START_PENDING", ErrorCode::kDeviceBusy, kBusy},
    {0x8028400d, "TBS_E_COMMAND_CANCELED", ErrorCode::kDeviceBusy, kBusy},
    {0x8028400f, "TBS_E_TPM_NOT_FOUND", ErrorCode::kHardwareUnavailable, kNoTpm},
    {0x80284010, "TBS_E_SERVICE_DISABLED", ErrorCode::kHardwareUnavailable,
     "The service \"TPM Base Services\" (TBS) is disabled; enable it."},
    {0x80284012, "TBS_E_ACCESS_DENIED", ErrorCode::kPermissionDenied, kDenied},
    {0x80284016, "TBS_E_PROVISIONING_INCOMPLETE", ErrorCode::kHardwareUnavailable, kNotPrepared},
    {0x8029021a, "TBSIMP_E_TPM_INCOMPATIBLE", ErrorCode::kHardwareUnavailable, kNoP256},
    {0x80290401, "TPM_E_PCP_DEVICE_NOT_READY", ErrorCode::kDeviceBusy, kNotReady},
    {0x80290405, "TPM_E_PCP_NOT_SUPPORTED", ErrorCode::kHardwareUnavailable, kNoP256},
    {0x80290406, "TPM_E_PCP_BUFFER_TOO_SMALL", ErrorCode::kPlatformError, kSize},
    {0x80290407, "TPM_E_PCP_INTERNAL_ERROR", ErrorCode::kPlatformError,
     "The key store failed; restart Windows, and update the TPM's firmware if it fails again."},
    {0x80290408, "TPM_E_PCP_AUTHENTICATION_FAILED", ErrorCode::kPlatformError, kAuthorization},
    {0x80290409, "TPM_E_PCP_AUTHENTICATION_IGNORED", ErrorCode::kTpmLockout, kLockedOut},
    {0x8029040e, "TPM_E_PCP_WRONG_PARENT", ErrorCode::kKeyLost, kGone},
    {0x8029041b, "TPM_E_LOCKED_OUT", ErrorCode::kTpmLockout, kLockedOut},
    {0x8029041d, "TPM_E_VERSION_NOT_SUPPORTED", ErrorCode::kHardwareUnavailable, kNoP256},
    {0x80290422, "TPM_E_PCP_KEY_HANDLE_INVALIDATED", ErrorCode::kDeviceBusy, kBusy},
    {0x80290600, "TPM_E_PROVISIONING_INCOMPLETE", ErrorCode::kHardwareUnavailable, kNotPrepared},
});

// Clears the bits of a TPM 2.0 "format one" response code that name a parameter, handle or session:
// bits 6 and 8 to 11 (TPM 2.0 Part 2, section 6.6.2). Windows sometimes leaves them in.
uint32_t WithoutPosition(uint32_t status) {
  const bool is_format_one = (status & 0xFFFFF000) == 0x80280000 && (status & 0x80) != 0;
  return is_format_one ? status & 0xFFFF00BF : status;
}

const CngStatus* Find(uint32_t status) {
  for (const uint32_t sought : {status, WithoutPosition(status)}) {
    for (const CngStatus& entry : kStatuses) {
      if (entry.status == sought) return &entry;
    }
  }
  return nullptr;
}

// "could not sign: Windows answered NTE_FAIL (0x80090020)"; `entry` may be null.
std::string Failure(std::string_view attempt, uint32_t status, const CngStatus* entry) {
  char number[16];
  std::snprintf(number, sizeof number, "0x%08x", static_cast<unsigned>(status));
  const std::string name =
      entry != nullptr ? std::string(entry->name) : '"' + WindowsMessage(status) + '"';
  return "could not " + std::string(attempt) + ": Windows answered " + name + " (" + number + ")";
}

}  // namespace

std::span<const CngStatus> CngStatuses() { return kStatuses; }

DeviceKeyError CngError(std::string_view attempt, int32_t status) {
  const auto raw = static_cast<uint32_t>(status);
  const CngStatus* const entry = Find(raw);
  const std::string failure = Failure(attempt, raw, entry);
  if (entry == nullptr) return DeviceKeyError(ErrorCode::kPlatformError, failure, raw);
  return DeviceKeyError(entry->code, failure + ". " + entry->cure, raw);
}

void CheckCng(std::string_view attempt, int32_t status) {
  if (status < 0) throw CngError(attempt, status);
}

void CheckCngMakingKey(int32_t status) {
  if (status >= 0) return;
  constexpr char kAttempt[] = "make a key";
  const auto raw = static_cast<uint32_t>(status);
  const CngStatus* const entry = Find(raw);
  if (entry == nullptr || entry->code != ErrorCode::kKeyLost) throw CngError(kAttempt, status);
  throw DeviceKeyError(ErrorCode::kPlatformError,
                       Failure(kAttempt, raw, entry) + ". " + kMismatched, raw);
}

}  // namespace device_key
