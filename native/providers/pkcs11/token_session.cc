#include "providers/pkcs11/token_session.h"

#include <utility>

#include "providers/pkcs11/pkcs11_status.h"

namespace device_key {

TokenSession::TokenSession(const CK_FUNCTION_LIST& module, Token token)
    : module_(module), token_(std::move(token)) {
  // CKF_SERIAL_SESSION exists for backward compatibility and must always be set (base
  // specification, section 5.6).
  CK_FLAGS flags = CKF_SERIAL_SESSION;
  if (!token_.has(CKF_WRITE_PROTECTED)) flags |= CKF_RW_SESSION;
  CheckPkcs11("open a session with the token",
              module_.C_OpenSession(token_.slot, flags, nullptr, nullptr, &handle_));
}

TokenSession::~TokenSession() {
  if (handle_ != 0) module_.C_CloseSession(handle_);
}

bool TokenSession::IsLoggedIn() const {
  CK_SESSION_INFO info{};
  CheckPkcs11("use the session with the token", module_.C_GetSessionInfo(handle_, &info));
  return info.state == CKS_RO_USER_FUNCTIONS || info.state == CKS_RW_USER_FUNCTIONS;
}

}  // namespace device_key
