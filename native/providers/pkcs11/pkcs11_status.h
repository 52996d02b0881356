// What a CK_RV means: classification, and the error that a person gets to read.
#ifndef DEVICE_KEY_PROVIDERS_PKCS11_PKCS11_STATUS_H_
#define DEVICE_KEY_PROVIDERS_PKCS11_PKCS11_STATUS_H_

#include <string_view>

#include "platform/error.h"
#include "providers/pkcs11/cryptoki.h"

namespace device_key {

// What we hold of the token (session, login, object handles) may be stale: the token was taken out
// and put back, the process behind the module was restarted, somebody else in this process logged
// out or finalized the module. Worth one try with a new session. Modules disagree about which code
// says so, and CKR_GENERAL_ERROR and CKR_DEVICE_ERROR are what SoftHSM and p11-kit's client say
// when the files or the server behind them went away.
bool IsStaleSession(CK_RV rv);

// The PIN was wrong, or cannot be right.
bool IsWrongPin(CK_RV rv);

// The error for `rv`, which came when we tried to `attempt` ("sign with the key"): what was
// attempted, what the module says, and what to do where something can be done.
DeviceKeyError Pkcs11Error(std::string_view attempt, CK_RV rv);

// Throws Pkcs11Error unless `rv` is CKR_OK.
void CheckPkcs11(std::string_view attempt, CK_RV rv);

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_PKCS11_PKCS11_STATUS_H_
