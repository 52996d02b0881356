// An HMAC session that is salted with a storage key and encrypts the first parameter of its command
// (TPM 2.0 Library Specification, Part 1, sections 19 and 21). Keeps listeners on the bus out; who
// can answer for the TPM can also put a storage key of their own in its place. Its keys are not
// wiped from memory: what they hide, the key's record says in the clear.
#ifndef DEVICE_KEY_PROVIDERS_TPM2_ENCRYPTED_SESSION_H_
#define DEVICE_KEY_PROVIDERS_TPM2_ENCRYPTED_SESSION_H_

#include <vector>

#include "crypto/bytes.h"
#include "crypto/secret_sharing.h"
#include "providers/tpm2/tpm_connection.h"

namespace device_key {

// For the one command that the session is for.
class EncryptedSession {
 public:
  // TPM2_StartAuthSession, salted with the key that is loaded under `handle`. Throws what
  // TpmConnection::Run throws and TpmError.
  EncryptedSession(TpmConnection& connection, TPM2_HANDLE handle, const SecretSharingKey& salt_key,
                   const OperationLimits& limits);

  // As TpmConnection::Run, with the session as the only authorization of the command `code`, which
  // has the objects with these `names` for its handles; `auth_value` is that of the first. Throws
  // `platform_error` also for an answer that the TPM has not vouched for.
  template <class Prepare, class Complete>
  TSS2_RC Run(TPM2_CC code, const std::vector<Bytes>& names, ByteView auth_value,
              const OperationLimits& limits, Prepare prepare, Complete complete) {
    SetAuthValue(auth_value);
    return connection_.Run(
        limits,
        [&] {
          const TSS2_RC rc = prepare();
          return rc == TSS2_RC_SUCCESS ? Protect(code, names) : rc;
        },
        [&] {
          session_.Abandon();  // the TPM has ended it with its command
          Verify(code);
          return complete();
        });
  }

 private:
  void SetAuthValue(ByteView auth_value);
  TSS2_RC Protect(TPM2_CC code, const std::vector<Bytes>& names);
  void Verify(TPM2_CC code);

  TpmConnection& connection_;
  TpmHandle session_;
  Bytes key_;  // the specification's sessionKey; from SetAuthValue on its sessionValue
  TPM2B_NONCE nonce_caller_{};
  TPM2B_NONCE nonce_tpm_{};
};

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_TPM2_ENCRYPTED_SESSION_H_
