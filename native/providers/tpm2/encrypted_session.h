// An HMAC session that is salted with a storage key and encrypts the first parameter of its command
// (TPM 2.0 Library Specification, Part 1, sections 19 and 21).
//
// It goes around ESYS: tpm2-tss 3.2.1 sets a whole OpenSSL library context up for every hash, HMAC
// and cipher of a session, which makes a command in one five times as slow as the command itself.
#ifndef DEVICE_KEY_PROVIDERS_TPM2_ENCRYPTED_SESSION_H_
#define DEVICE_KEY_PROVIDERS_TPM2_ENCRYPTED_SESSION_H_

#include <vector>

#include "crypto/bytes.h"
#include "providers/tpm2/tpm_connection.h"

namespace device_key {

// An object that is loaded, as commands and sessions name it.
struct TpmEntity {
  TPM2_HANDLE handle;  // the TPM's own, not ESYS'
  Bytes name;
};

// A command for an EncryptedSession.
struct SessionCommand {
  TPM2_CC code;
  std::vector<TpmEntity> handles;  // the first of them is what the session authorizes
  ByteView auth_value;             // of the first
  Bytes parameters;                // marshalled; the first is a TPM2B, and is encrypted on the way
};

class EncryptedSession {
 public:
  // TPM2_StartAuthSession. `salt_key` is loaded and IsStorageKey; `number` is its handle. Throws
  // what TpmConnection::Run throws and TpmError.
  EncryptedSession(TpmConnection& connection, TPM2_HANDLE number, const TPMT_PUBLIC& salt_key,
                   const OperationLimits& limits);

  // Flushes the session if it still is: a TPM without a resource manager has three.
  ~EncryptedSession();
  EncryptedSession(const EncryptedSession&) = delete;
  EncryptedSession& operator=(const EncryptedSession&) = delete;

  // Runs the one command that the session is for. Returns what the TPM answered; on success
  // `response` holds the response's marshalled parameters, which the TPM has vouched for. An
  // answer that it has not vouched for is TSS2_ESYS_RC_RSP_AUTH_FAILED. Throws what
  // TpmConnection::Run throws.
  TSS2_RC Run(SessionCommand command, const OperationLimits& limits, Bytes& response);

 private:
  Bytes AuthorizationKey(ByteView auth_value) const;

  TpmConnection& connection_;
  TPM2_HANDLE handle_ = 0;
  bool open_ = false;
  Bytes key_;        // "sessionKey"
  Bytes nonce_tpm_;  // the last one that the TPM sent
};

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_TPM2_ENCRYPTED_SESSION_H_
