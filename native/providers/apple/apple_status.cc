#include "providers/apple/apple_status.h"

#include <cstdint>
#include <optional>
#include <string>

#include "providers/apple/cf_values.h"

namespace device_key {
namespace {

struct Meaning {
  ErrorCode code;
  const char* cure;                // a sentence, or nullptr
  bool blames_stored_key = false;  // which is wrong while a key is being made
};

constexpr char kSessionCure[] =
    "Keys can be used in a login session with an unlocked keychain, not in a daemon or under sudo: "
    "log in at the Mac itself and unlock it (over SSH: `security unlock-keychain`), then try "
    "again.";
constexpr char kPresenceCure[] =
    "The key asks that someone confirms each use with Touch ID or the login password: set one up "
    "and try again at the Mac itself.";
constexpr char kCanceledCure[] = "Ask again when the user wants to continue.";
constexpr char kEnclaveCure[] =
    "This Mac has no Secure Enclave that can be used: Intel Macs without a T2 chip and most "
    "virtual machines have none.";
constexpr char kLostCure[] =
    "The key was made on another Mac or by another user, or was erased with this one; delete it "
    "and enroll again.";
constexpr char kNotMadeCure[] =
    "No key was made: try again; if it fails again, restart the Mac and report this.";
constexpr char kUnreadableCure[] =
    "Try again; if it fails again, the key is from another Mac or user: delete it and enroll "
    "again.";

constexpr char kOsStatusDomain[] = "NSOSStatusErrorDomain";
constexpr char kAuthenticationDomain[] = "com.apple.LocalAuthentication";
constexpr char kTokenDomain[] = "CryptoTokenKit";
constexpr CFIndex kTokenCorruptedData = -3;  // TKErrorCodeCorruptedData

// kIOReturnNotPermitted of IOKit/IOReturn.h: the answer of the enclave's key store while the Mac is
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
    case errSecNoDefaultKeychain:  // as under sudo and in daemons, which have no login keychain
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
      return {ErrorCode::kKeyLost, kLostCure, true};
    // macOS returns this in place of TKErrorCodeCorruptedData where it returns an OSStatus
    // (SecErrorGetOSStatus in Apple's published SecItem.m).
    case errSecDecode:
      return {ErrorCode::kPlatformError, kUnreadableCure, true};
    case errSecDiskFull:
      return {ErrorCode::kStoreUnwritable, "The disk is full; free some space and try again."};
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
    // The enclave's token returns this also for any underlying error.
    case kTokenCorruptedData:
      return {ErrorCode::kPlatformError, kUnreadableCure, true};
    case -6:  // TKErrorCodeObjectNotFound
      return {ErrorCode::kKeyLost, kLostCure, true};
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
  if (domain == kOsStatusDomain) return MeaningOf(static_cast<OSStatus>(code));
  if (domain == kAuthenticationDomain) return MeaningOfAuthentication(code);
  if (domain == kTokenDomain) return MeaningOfToken(code);
  return {ErrorCode::kPlatformError, nullptr};
}

std::string StatusText(OSStatus status) {
  const ScopedCf<CFStringRef> words(SecCopyErrorMessageString(status, nullptr));
  return words ? TextOf(words.get()) : std::string();
}

// The enclave's own error code, if its token reports it.
std::optional<int64_t> EnclaveStatus(CFDictionaryRef details) {
  const CFTypeRef status = CFDictionaryGetValue(details, CfString("AKSError").get());
  int64_t value = 0;
  if (status == nullptr || CFGetTypeID(status) != CFNumberGetTypeID() ||
      !CFNumberGetValue(static_cast<CFNumberRef>(status), kCFNumberSInt64Type, &value)) {
    return std::nullopt;
  }
  return value;
}

CFErrorRef UnderlyingError(CFDictionaryRef details) {
  const CFTypeRef error = CFDictionaryGetValue(details, kCFErrorUnderlyingErrorKey);
  if (error == nullptr || CFGetTypeID(error) != CFErrorGetTypeID()) return nullptr;
  return static_cast<CFErrorRef>(const_cast<void*>(error));
}

struct Explanation {
  std::string answer;  // "CryptoTokenKit -3, enclave -536870174"
  Meaning meaning{ErrorCode::kPlatformError, nullptr};
};

// Adds the codes of `error` and of its underlying errors. The descriptions are left out, because
// they may name keys and accounts.
void Explain(CFErrorRef error, int depth, Explanation* explanation) {
  constexpr int kDeepest = 8;
  const std::string domain = TextOf(CFErrorGetDomain(error));
  const CFIndex code = CFErrorGetCode(error);
  std::string& answer = explanation->answer;
  if (depth == 0) {
    answer = domain == kOsStatusDomain ? StatusText(static_cast<OSStatus>(code)) : domain;
  } else {
    answer += (answer.empty() ? "" : ", ") + domain + " " + std::to_string(code);
  }
  // Only these two have more information than the OSStatus.
  if (depth == 0 || domain == kTokenDomain || domain == kAuthenticationDomain) {
    explanation->meaning = MeaningIn(domain, code);
  }
  const ScopedCf<CFDictionaryRef> details(CFErrorCopyUserInfo(error));
  if (!details) return;
  if (const std::optional<int64_t> enclave = EnclaveStatus(details.get())) {
    answer += ", enclave " + std::to_string(*enclave);
    if (*enclave == kEnclaveNotPermitted) {
      explanation->meaning = {ErrorCode::kSessionLocked, kSessionCure};
    }
  }
  const CFErrorRef underlying = UnderlyingError(details.get());
  if (underlying != nullptr && depth < kDeepest) Explain(underlying, depth + 1, explanation);
}

DeviceKeyError Described(std::string_view attempt, CFIndex code, const Explanation& explanation) {
  const auto& [answer, meaning] = explanation;
  std::string message =
      "could not " + std::string(attempt) + ": macOS answered " + std::to_string(code);
  if (!answer.empty()) message += " (" + answer + ")";
  if (meaning.cure != nullptr) message += std::string(". ") + meaning.cure;
  return DeviceKeyError(meaning.code, message, static_cast<uint32_t>(code));
}

DeviceKeyError WithoutReason(std::string_view attempt) {
  return DeviceKeyError(ErrorCode::kPlatformError,
                        "could not " + std::string(attempt) + ": macOS gave no reason");
}

}  // namespace

DeviceKeyError AppleError(std::string_view attempt, OSStatus status) {
  return Described(attempt, status, {StatusText(status), MeaningOf(status)});
}

DeviceKeyError AppleError(std::string_view attempt, CFErrorRef error) {
  if (error == nullptr) return WithoutReason(attempt);
  Explanation explanation;
  Explain(error, 0, &explanation);
  return Described(attempt, CFErrorGetCode(error), explanation);
}

DeviceKeyError AppleErrorMakingKey(CFErrorRef error) {
  constexpr char kAttempt[] = "make a key";
  if (error == nullptr) return WithoutReason(kAttempt);
  Explanation explanation;
  Explain(error, 0, &explanation);
  if (explanation.meaning.blames_stored_key) {
    explanation.meaning = {ErrorCode::kPlatformError, kNotMadeCure};
  }
  return Described(kAttempt, CFErrorGetCode(error), explanation);
}

bool IsCorruptedTokenData(CFErrorRef error) {
  return error != nullptr && CFErrorGetCode(error) == kTokenCorruptedData &&
         TextOf(CFErrorGetDomain(error)) == kTokenDomain;
}

bool HasStatus(const DeviceKeyError& error, OSStatus status) {
  return error.platform_status() == static_cast<uint32_t>(status);
}

}  // namespace device_key
