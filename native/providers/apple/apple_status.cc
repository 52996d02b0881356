#include "providers/apple/apple_status.h"

#include <cstdint>
#include <optional>
#include <string>

#include "providers/apple/cf_values.h"

namespace device_key {
namespace {

struct Meaning {
  ErrorCode code;
  const char* cure;  // a sentence, or nullptr
};

constexpr char kSessionCure[] =
    "Keys can be used in a login session with an unlocked keychain: log in at the Mac itself and "
    "unlock it (over SSH: `security unlock-keychain`), then try again.";
constexpr char kPresenceCure[] =
    "The key asks that someone confirms each use with Touch ID or the login password: set one up "
    "and try again at the Mac itself.";
constexpr char kCanceledCure[] = "Ask again when the user wants to go on.";
constexpr char kEnclaveCure[] =
    "This Mac has no Secure Enclave that can be used: Intel Macs without a T2 chip and most "
    "virtual machines have none.";
constexpr char kLostCure[] =
    "The key was made on another Mac or by another user, or was erased with this one; delete it "
    "and enroll again.";
constexpr char kUnreadableCure[] =
    "Try again; if it stays so, the key is of another Mac or another user: delete it and enroll "
    "again.";

constexpr char kOsStatusDomain[] = "NSOSStatusErrorDomain";
constexpr char kAuthenticationDomain[] = "com.apple.LocalAuthentication";
constexpr char kTokenDomain[] = "CryptoTokenKit";
constexpr CFIndex kTokenCorruptedData = -3;  // TKErrorCodeCorruptedData

// kIOReturnNotPermitted, IOKit/IOReturn.h: what the enclave's key store answers while the Mac is
// locked.
constexpr int64_t kEnclaveNotPermitted = static_cast<int32_t>(0xe00002e2);

// Security/SecBase.h.
Meaning MeaningOf(OSStatus status) {
  switch (status) {
    case errSecMissingEntitlement:
      return {ErrorCode::kMissingEntitlement,
              "The program that runs this code, not node-device-key, lacks the entitlement "
              "keychain-access-groups. For Electron: put it into the entitlements file with "
              "$(TeamIdentifierPrefix) and your bundle id, sign the app with it and embed a "
              "provisioning profile that grants it (docs/macos.md)."};
    case errSecInteractionNotAllowed:
    case errSecInteractionRequired:
    case errSecNotAvailable:
    case errSecInDarkWake:
      return {ErrorCode::kSessionLocked, kSessionCure};
    case errSecUserCanceled:
      return {ErrorCode::kUserCanceled, kCanceledCure};
    case errSecAuthFailed:
      return {ErrorCode::kPermissionDenied,
              "The keychain refused this program; check that it is signed as it was when it "
              "made the key, and that the keychain is unlocked."};
    case errSecUnimplemented:
      return {ErrorCode::kHardwareUnavailable, kEnclaveCure};
    case errSecItemNotFound:
    case errSecInvalidKeyBlob:
      return {ErrorCode::kKeyLost, kLostCure};
    case errSecDecode:
      return {ErrorCode::kStoreCorrupt, "The stored key is damaged; enroll again."};
    case errSecDiskFull:
      return {ErrorCode::kStoreUnwritable, "The disk is full; make room and try again."};
    default:
      return {ErrorCode::kPlatformError, nullptr};
  }
}

// LocalAuthentication/LAError.h.
Meaning MeaningOfAuthentication(CFIndex code) {
  switch (code) {
    case -2:  // LAErrorUserCancel
    case -3:  // LAErrorUserFallback
    case -4:  // LAErrorSystemCancel
    case -9:  // LAErrorAppCancel
      return {ErrorCode::kUserCanceled, kCanceledCure};
    case -1:  // LAErrorAuthenticationFailed
    case -5:  // LAErrorPasscodeNotSet
    case -6:  // LAErrorBiometryNotAvailable
    case -7:  // LAErrorBiometryNotEnrolled
    case -8:  // LAErrorBiometryLockout
      return {ErrorCode::kUserPresenceRequired, kPresenceCure};
    case -1004:  // LAErrorNotInteractive
      return {ErrorCode::kSessionLocked, kSessionCure};
    default:
      return {ErrorCode::kPlatformError, nullptr};
  }
}

// CryptoTokenKit/TKError.h: the enclave answers as a token.
Meaning MeaningOfToken(CFIndex code) {
  switch (code) {
    case -1:  // TKErrorCodeNotImplemented
    case -7:  // TKErrorCodeTokenNotFound
      return {ErrorCode::kHardwareUnavailable, kEnclaveCure};
    case -2:  // TKErrorCodeCommunicationError
      return {ErrorCode::kDeviceBusy, "The Secure Enclave did not answer; try again."};
    // Also what the enclave's token answers to whatever went wrong below it.
    case kTokenCorruptedData:
      return {ErrorCode::kPlatformError, kUnreadableCure};
    case -6:  // TKErrorCodeObjectNotFound
      return {ErrorCode::kKeyLost, kLostCure};
    case -4:  // TKErrorCodeCanceledByUser
      return {ErrorCode::kUserCanceled, kCanceledCure};
    case -5:  // TKErrorCodeAuthenticationFailed
    case -9:  // TKErrorCodeAuthenticationNeeded
      return {ErrorCode::kUserPresenceRequired, kPresenceCure};
    default:
      return {ErrorCode::kPlatformError, nullptr};
  }
}

Meaning MeaningIn(const std::string& domain, CFIndex code) {
  if (domain == kAuthenticationDomain) return MeaningOfAuthentication(code);
  if (domain == kTokenDomain) return MeaningOfToken(code);
  return {ErrorCode::kPlatformError, nullptr};
}

// What the enclave itself answered, where its token tells.
std::optional<int64_t> EnclaveStatus(CFErrorRef error) {
  const ScopedCf<CFDictionaryRef> details(CFErrorCopyUserInfo(error));
  if (!details) return std::nullopt;
  const CFTypeRef status = CFDictionaryGetValue(details.get(), CfString("AKSError").get());
  int64_t value = 0;
  if (status == nullptr || CFGetTypeID(status) != CFNumberGetTypeID() ||
      !CFNumberGetValue(static_cast<CFNumberRef>(status), kCFNumberSInt64Type, &value)) {
    return std::nullopt;
  }
  return value;
}

DeviceKeyError Explained(std::string_view attempt, const std::string& answer, CFIndex code,
                         const Meaning& meaning) {
  std::string message =
      "could not " + std::string(attempt) + ": macOS answered " + std::to_string(code);
  if (!answer.empty()) message += " (" + answer + ")";
  if (meaning.cure != nullptr) message += std::string(". ") + meaning.cure;
  return DeviceKeyError(meaning.code, message, static_cast<uint32_t>(code));
}

}  // namespace

DeviceKeyError AppleError(std::string_view attempt, OSStatus status) {
  const ScopedCf<CFStringRef> words(SecCopyErrorMessageString(status, nullptr));
  return Explained(attempt, words ? TextOf(words.get()) : std::string(), status, MeaningOf(status));
}

DeviceKeyError AppleError(std::string_view attempt, CFErrorRef error) {
  if (error == nullptr) {
    return DeviceKeyError(ErrorCode::kPlatformError,
                          "could not " + std::string(attempt) + ": macOS gave no reason");
  }
  const std::string domain = TextOf(CFErrorGetDomain(error));
  const CFIndex code = CFErrorGetCode(error);
  // The error's own description may name keys and accounts: its domain says enough.
  if (domain == kOsStatusDomain) return AppleError(attempt, static_cast<OSStatus>(code));
  const std::optional<int64_t> enclave = EnclaveStatus(error);
  if (!enclave) return Explained(attempt, domain, code, MeaningIn(domain, code));
  return Explained(attempt, domain + ", enclave " + std::to_string(*enclave), code,
                   *enclave == kEnclaveNotPermitted
                       ? Meaning{ErrorCode::kSessionLocked, kSessionCure}
                       : MeaningIn(domain, code));
}

bool IsCorruptedTokenData(CFErrorRef error) {
  return error != nullptr && CFErrorGetCode(error) == kTokenCorruptedData &&
         TextOf(CFErrorGetDomain(error)) == kTokenDomain;
}

bool HasStatus(const DeviceKeyError& error, OSStatus status) {
  return error.platform_status() == static_cast<uint32_t>(status);
}

}  // namespace device_key
