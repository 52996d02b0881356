#include "providers/tpm2/tpm_status.h"

#include <tss2/tss2_tpm2_types.h>

#include <string>

#include "providers/tpm2/tss2_library.h"

namespace device_key {
namespace {

struct Meaning {
  ErrorCode code;
  const char* cure;  // a sentence, or nullptr
};

Meaning MeaningOf(TSS2_RC rc) {
  switch (BareTpmCode(rc)) {
    case TPM2_RC_LOCKOUT:
      return {ErrorCode::kTpmLockout,
              "The TPM refuses protected keys after too many wrong authorizations; wait for its "
              "lockout to end or reset it as the TPM's owner (`tpm2_dictionarylockout -c`)."};
    case TPM2_RC_INTEGRITY:
      return {ErrorCode::kKeyLost,
              "The key was made by another TPM, or this one has been cleared since; enroll again."};
    case TPM2_RC_BINDING:
    case TPM2_RC_SIZE:
    case TPM2_RC_INSUFFICIENT:
      return {ErrorCode::kStoreCorrupt,
              "The stored key is damaged; restore its record from a backup or enroll again."};
    case TPM2_RC_SESSION_MEMORY:
    case TPM2_RC_SESSION_HANDLES:
      return {ErrorCode::kDeviceBusy,
              "Sessions of other programs, or sessions whose program lost its connection, occupy "
              "the TPM's slots; use the kernel's resource manager (/dev/tpmrm0), or flush them "
              "when no other program uses the TPM (`tpm2_flushcontext --loaded-session`)."};
    case TPM2_RC_OBJECT_MEMORY:
    case TPM2_RC_OBJECT_HANDLES:
    case TPM2_RC_MEMORY:
      return {ErrorCode::kDeviceBusy,
              "Other programs occupy the TPM's slots; use the kernel's resource manager "
              "(/dev/tpmrm0), or try again when they have finished."};
    case TPM2_RC_RETRY:
    case TPM2_RC_YIELDED:
    case TPM2_RC_TESTING:
    case TPM2_RC_NV_RATE:
    case TPM2_RC_CANCELED:
      return {ErrorCode::kDeviceBusy, "The TPM is busy; try again."};
    case TPM2_RC_CURVE:
    case TPM2_RC_SCHEME:
    case TPM2_RC_COMMAND_CODE:
      return {ErrorCode::kHardwareUnavailable,
              "This TPM lacks an algorithm or command that ECDSA P-256 keys need."};
    case TPM2_RC_HIERARCHY:
      return {ErrorCode::kHardwareUnavailable,
              "The TPM's owner hierarchy is disabled; enable it in the firmware's set-up."};
    case TPM2_RC_FAILURE:
      return {ErrorCode::kPlatformError,
              "The TPM is in failure mode; power the machine off and on again."};
    case TPM2_RC_INITIALIZE:
      return {ErrorCode::kPlatformError, "The TPM has not been started (TPM2_Startup)."};
    default:
      return {ErrorCode::kPlatformError, nullptr};
  }
}

}  // namespace

TSS2_RC BareTpmCode(TSS2_RC rc) {
  const TSS2_RC layer = rc & TSS2_RC_LAYER_MASK;
  if (layer != 0 && layer != TSS2_RESMGR_RC_LAYER && layer != TSS2_RESMGR_TPM_RC_LAYER) return 0;
  const TSS2_RC code = rc & ~TSS2_RC_LAYER_MASK;
  // Format-one codes also have a parameter flag (bit 6) and a number (bits 8-11).
  return (code & TPM2_RC_FMT1) != 0 ? code & 0xBF : code;
}

bool IsStaleHandle(TSS2_RC rc) {
  const TSS2_RC code = BareTpmCode(rc);
  return (code >= TPM2_RC_REFERENCE_H0 && code <= TPM2_RC_REFERENCE_H6) || code == TPM2_RC_HANDLE;
}

bool IsAuthFailure(TSS2_RC rc) {
  const TSS2_RC code = BareTpmCode(rc);
  return code == TPM2_RC_BAD_AUTH || code == TPM2_RC_AUTH_FAIL;
}

bool IsObjectMemory(TSS2_RC rc) { return BareTpmCode(rc) == TPM2_RC_OBJECT_MEMORY; }

bool AsksToResubmit(TSS2_RC rc) {
  const TSS2_RC code = BareTpmCode(rc);
  return code == TPM2_RC_RETRY || code == TPM2_RC_YIELDED || code == TPM2_RC_TESTING;
}

bool IsConnectionFault(TSS2_RC rc) {
  const TSS2_RC layer = rc & TSS2_RC_LAYER_MASK;
  if (layer == 0 || layer == TSS2_RESMGR_RC_LAYER || layer == TSS2_RESMGR_TPM_RC_LAYER) {
    return false;
  }
  switch (rc & ~TSS2_RC_LAYER_MASK) {
    case TSS2_BASE_RC_IO_ERROR:
    case TSS2_BASE_RC_NO_CONNECTION:
    case TSS2_BASE_RC_BAD_SEQUENCE:
    case TSS2_BASE_RC_MALFORMED_RESPONSE:
    case TSS2_BASE_RC_INSUFFICIENT_RESPONSE:
      return true;
    default:
      return false;
  }
}

DeviceKeyError TpmError(std::string_view attempt, TSS2_RC rc) {
  const Meaning meaning = MeaningOf(rc);
  std::string message = "could not " + std::string(attempt) + ": the TPM answered \"" +
                        Tss2Library::Get().Tss2_RC_Decode(rc) + "\"";
  if (meaning.cure != nullptr) message += std::string(". ") + meaning.cure;
  return DeviceKeyError(meaning.code, message, rc);
}

void CheckTpm(std::string_view attempt, TSS2_RC rc) {
  if (rc != TSS2_RC_SUCCESS) throw TpmError(attempt, rc);
}

}  // namespace device_key
