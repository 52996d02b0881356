#include "providers/pkcs11/pkcs11_status.h"

#include <cstdio>
#include <string>

namespace device_key {
namespace {

struct Meaning {
  ErrorCode code;
  const char* name;  // nullptr for a status without a case below
  const char* cure;  // a sentence, or nullptr
};

constexpr char kNoCurve[] = "This token cannot make ECDSA P-256 keys; use another";
constexpr char kTryAgain[] =
    "The token or its reader failed; if it happens again, take it out and "
    "put it back, or restart the service behind the module";

Meaning MeaningOf(CK_RV rv) {
#define DEVICE_KEY_MEANING(rv, code, cure) \
  case rv:                                 \
    return {ErrorCode::code, #rv, cure};
  switch (rv) {
    DEVICE_KEY_MEANING(CKR_HOST_MEMORY, kPlatformError, nullptr)
    DEVICE_KEY_MEANING(CKR_SLOT_ID_INVALID, kTokenMissing, nullptr)
    DEVICE_KEY_MEANING(CKR_GENERAL_ERROR, kPlatformError, kTryAgain)
    DEVICE_KEY_MEANING(CKR_FUNCTION_FAILED, kPlatformError, kTryAgain)
    DEVICE_KEY_MEANING(CKR_DEVICE_ERROR, kPlatformError, kTryAgain)
    DEVICE_KEY_MEANING(CKR_DEVICE_MEMORY, kPlatformError,
                       "The token is full; delete objects that are not needed")
    DEVICE_KEY_MEANING(CKR_DEVICE_REMOVED, kTokenMissing, "Put the token back")
    DEVICE_KEY_MEANING(CKR_TOKEN_NOT_PRESENT, kTokenMissing, "Put the token back")
    DEVICE_KEY_MEANING(CKR_TOKEN_NOT_RECOGNIZED, kTokenMissing,
                       "The module does not know this kind of token")
    DEVICE_KEY_MEANING(CKR_FUNCTION_CANCELED, kUserCanceled, nullptr)
    DEVICE_KEY_MEANING(CKR_FUNCTION_REJECTED, kUserCanceled, nullptr)
    DEVICE_KEY_MEANING(CKR_FUNCTION_NOT_SUPPORTED, kHardwareUnavailable, kNoCurve)
    DEVICE_KEY_MEANING(CKR_MECHANISM_INVALID, kHardwareUnavailable, kNoCurve)
    DEVICE_KEY_MEANING(CKR_CURVE_NOT_SUPPORTED, kHardwareUnavailable, kNoCurve)
    DEVICE_KEY_MEANING(CKR_ATTRIBUTE_READ_ONLY, kHardwareUnavailable, kNoCurve)
    DEVICE_KEY_MEANING(CKR_ATTRIBUTE_TYPE_INVALID, kHardwareUnavailable, kNoCurve)
    DEVICE_KEY_MEANING(CKR_ATTRIBUTE_VALUE_INVALID, kHardwareUnavailable, kNoCurve)
    DEVICE_KEY_MEANING(CKR_TEMPLATE_INCONSISTENT, kHardwareUnavailable, kNoCurve)
    DEVICE_KEY_MEANING(CKR_TOKEN_WRITE_PROTECTED, kHardwareUnavailable,
                       "The token is read-only; use another")
    DEVICE_KEY_MEANING(CKR_PIN_INCORRECT, kPinIncorrect, nullptr)
    DEVICE_KEY_MEANING(CKR_PIN_INVALID, kPinIncorrect, nullptr)
    DEVICE_KEY_MEANING(CKR_PIN_LEN_RANGE, kPinIncorrect, nullptr)
    DEVICE_KEY_MEANING(CKR_PIN_EXPIRED, kPinIncorrect, "Change the PIN with the token's own tools")
    DEVICE_KEY_MEANING(CKR_PIN_LOCKED, kPinLocked,
                       "Unblock the PIN with the token's own tools and its PUK or SO PIN")
    DEVICE_KEY_MEANING(CKR_USER_PIN_NOT_INITIALIZED, kHardwareUnavailable,
                       "The token has no user PIN yet; set one (`pkcs11-tool --init-pin`)")
    DEVICE_KEY_MEANING(CKR_USER_NOT_LOGGED_IN, kPinRequired, nullptr)
    DEVICE_KEY_MEANING(CKR_USER_ANOTHER_ALREADY_LOGGED_IN, kDeviceBusy,
                       "The security officer is logged in to this token")
    DEVICE_KEY_MEANING(CKR_SESSION_COUNT, kDeviceBusy,
                       "Other programs have all of the token's sessions; try again later")
    DEVICE_KEY_MEANING(CKR_SESSION_CLOSED, kPlatformError, nullptr)
    DEVICE_KEY_MEANING(CKR_SESSION_HANDLE_INVALID, kPlatformError, nullptr)
    DEVICE_KEY_MEANING(CKR_KEY_HANDLE_INVALID, kPlatformError, nullptr)
    DEVICE_KEY_MEANING(CKR_OBJECT_HANDLE_INVALID, kPlatformError, nullptr)
    DEVICE_KEY_MEANING(CKR_OPERATION_ACTIVE, kDeviceBusy, "Try again")
    DEVICE_KEY_MEANING(CKR_CRYPTOKI_NOT_INITIALIZED, kPlatformError, nullptr)
    default:
      return {ErrorCode::kPlatformError, nullptr, nullptr};
  }
#undef DEVICE_KEY_MEANING
}

std::string Hex(CK_RV rv) {
  char text[2 + 2 * sizeof rv + 1];
  std::snprintf(text, sizeof text, "0x%lx", rv);
  return text;
}

}  // namespace

bool IsStaleSession(CK_RV rv) {
  switch (rv) {
    case CKR_SLOT_ID_INVALID:
    case CKR_GENERAL_ERROR:
    case CKR_FUNCTION_FAILED:
    case CKR_DEVICE_ERROR:
    case CKR_DEVICE_REMOVED:
    case CKR_KEY_HANDLE_INVALID:
    case CKR_OBJECT_HANDLE_INVALID:
    case CKR_OPERATION_ACTIVE:
    case CKR_OPERATION_NOT_INITIALIZED:
    case CKR_SESSION_CLOSED:
    case CKR_SESSION_HANDLE_INVALID:
    case CKR_TOKEN_NOT_PRESENT:
    case CKR_TOKEN_NOT_RECOGNIZED:
    case CKR_USER_NOT_LOGGED_IN:
    case CKR_USER_PIN_NOT_INITIALIZED:
    case CKR_CRYPTOKI_NOT_INITIALIZED:
      return true;
    default:
      return false;
  }
}

bool IsWrongPin(CK_RV rv) {
  return rv == CKR_PIN_INCORRECT || rv == CKR_PIN_INVALID || rv == CKR_PIN_LEN_RANGE;
}

DeviceKeyError Pkcs11Error(std::string_view attempt, CK_RV rv) {
  const Meaning meaning = MeaningOf(rv);
  std::string message = "could not " + std::string(attempt) + ": the PKCS#11 module answered " +
                        (meaning.name != nullptr ? meaning.name : Hex(rv));
  if (meaning.cure != nullptr) message += std::string(". ") + meaning.cure;
  return DeviceKeyError(meaning.code, message, static_cast<uint32_t>(rv));
}

void CheckPkcs11(std::string_view attempt, CK_RV rv) {
  if (rv != CKR_OK) throw Pkcs11Error(attempt, rv);
}

}  // namespace device_key
