// Classifies CK_RV values and makes errors from them.
#ifndef DEVICE_KEY_PROVIDERS_PKCS11_PKCS11_STATUS_H_
#define DEVICE_KEY_PROVIDERS_PKCS11_PKCS11_STATUS_H_

#include <string_view>

#include "platform/error.h"
#include "providers/pkcs11/cryptoki.h"

namespace device_key {

// Whether our state of the token (session, login, object handles) may be stale: the token was
// removed and inserted again, the module's server was restarted, or other code of this process
// logged out or finalized the module. Callers try once more with a new session. Modules use
// different codes for this; SoftHSM and p11-kit's client return CKR_GENERAL_ERROR and
// CKR_DEVICE_ERROR when their files or their server are gone.
bool IsStaleSession(CK_RV rv);

// The PIN was wrong, or cannot be right.
bool IsWrongPin(CK_RV rv);

// The error for `rv`, which a call to `attempt` ("sign with the key") returned. The message has the
// attempt, the module's answer, and a cure where there is one.
DeviceKeyError Pkcs11Error(std::string_view attempt, CK_RV rv);

// Throws Pkcs11Error unless `rv` is CKR_OK.
void CheckPkcs11(std::string_view attempt, CK_RV rv);

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_PKCS11_PKCS11_STATUS_H_
