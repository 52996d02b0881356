// TPM commands that need authorizations.
#ifndef DEVICE_KEY_PROVIDERS_TPM2_AUTHORIZED_COMMAND_H_
#define DEVICE_KEY_PROVIDERS_TPM2_AUTHORIZED_COMMAND_H_

#include <algorithm>
#include <initializer_list>

#include "providers/tpm2/tpm_connection.h"

namespace device_key {

// The password session (TPM 2.0 Part 1, section 19.4). It sends the authValue in the clear.
inline TPMS_AUTH_COMMAND PasswordSession(const TPM2B_AUTH& auth = {}) {
  TPMS_AUTH_COMMAND session{};
  session.sessionHandle = TPM2_RH_PW;
  session.hmac = auth;
  return session;
}

// A policy session without salt and binding. It needs no HMAC. continueSession keeps it for the
// next command.
inline TPMS_AUTH_COMMAND PolicySession(TPM2_HANDLE handle) {
  TPMS_AUTH_COMMAND session{};
  session.sessionHandle = handle;
  session.sessionAttributes = TPMA_SESSION_CONTINUESESSION;
  return session;
}

// Like TpmConnection::Run, with one session for each handle that needs authorization, in the order
// of the handles.
template <class Prepare, class Complete>
TSS2_RC RunAuthorized(TpmConnection& connection, std::initializer_list<TPMS_AUTH_COMMAND> sessions,
                      Prepare prepare, Complete complete) {
  TSS2L_SYS_AUTH_COMMAND authorizations{};
  authorizations.count = static_cast<uint16_t>(sessions.size());
  std::copy(sessions.begin(), sessions.end(), authorizations.auths);
  return connection.Run(
      [&] {
        const TSS2_RC rc = prepare();
        if (rc != TSS2_RC_SUCCESS) return rc;
        return connection.tss2().Tss2_Sys_SetCmdAuths(connection.sys(), &authorizations);
      },
      complete);
}

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_TPM2_AUTHORIZED_COMMAND_H_
