#include "providers/tpm2/encrypted_session.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <span>

#include "crypto/aes_cfb.h"
#include "crypto/random.h"
#include "crypto/tpm_kdf.h"
#include "providers/tpm2/marshalling.h"

namespace device_key {
namespace {

// As long as the digest of the session's hash: longer ones add nothing (Part 1, section 19.6.7).
constexpr size_t kNonceSize = 32;
constexpr size_t kKeySize = 32;
constexpr size_t kAesKeySize = 16;
constexpr size_t kAesBlockSize = 16;

// Not continued: the TPM ends the session itself once its command has succeeded, which spares a
// command.
constexpr TPMA_SESSION kAttributes = TPMA_SESSION_DECRYPT;

template <class Tpm2b>
Tpm2b SizedBuffer(ByteView bytes) {
  Tpm2b sized{};
  sized.size = static_cast<uint16_t>(std::min(bytes.size(), std::size(sized.buffer)));
  std::copy_n(bytes.begin(), sized.size, sized.buffer);
  return sized;
}

Bytes BigEndian(uint32_t value) {
  return {static_cast<uint8_t>(value >> 24), static_cast<uint8_t>(value >> 16),
          static_cast<uint8_t>(value >> 8), static_cast<uint8_t>(value)};
}

void Append(Bytes& bytes, ByteView more) { bytes.insert(bytes.end(), more.begin(), more.end()); }

}  // namespace

EncryptedSession::EncryptedSession(TpmConnection& connection, TPM2_HANDLE handle,
                                   const SecretSharingKey& salt_key, const OperationLimits& limits)
    : connection_(connection) {
  const Tss2Library& tss2 = connection.tss2();
  TSS2_SYS_CONTEXT* sys = connection.sys();
  const SharedSecret salt = salt_key.Share("SECRET");
  TPM2B_ENCRYPTED_SECRET encrypted_salt{};
  encrypted_salt.size = static_cast<uint16_t>(salt.encrypted.size());
  std::copy(salt.encrypted.begin(), salt.encrypted.end(), encrypted_salt.secret);
  nonce_caller_ = SizedBuffer<TPM2B_NONCE>(RandomBytes(kNonceSize));
  TPMT_SYM_DEF symmetric{};
  symmetric.algorithm = TPM2_ALG_AES;
  symmetric.keyBits.aes = 8 * kAesKeySize;
  symmetric.mode.aes = TPM2_ALG_CFB;
  TPMI_SH_AUTH_SESSION session = 0;
  CheckTpm(
      "start a session",
      connection.Run(
          limits,
          [&] {
            return tss2.Tss2_Sys_StartAuthSession_Prepare(sys, handle, TPM2_RH_NULL, &nonce_caller_,
                                                          &encrypted_salt, TPM2_SE_HMAC, &symmetric,
                                                          TPM2_ALG_SHA256);
          },
          [&] { return tss2.Tss2_Sys_StartAuthSession_Complete(sys, &session, &nonce_tpm_); }));
  session_ = TpmHandle(connection, session);
  key_ = KdfA(salt.secret, "ATH", View(nonce_tpm_), View(nonce_caller_), kKeySize);
}

// Part 1, section 19.6.8: HMACs and encryption depend on the authValue of what is authorized.
void EncryptedSession::SetAuthValue(ByteView auth_value) { Append(key_, auth_value); }

TSS2_RC EncryptedSession::Protect(TPM2_CC code, const std::vector<Bytes>& names) {
  const Tss2Library& tss2 = connection_.tss2();
  TSS2_SYS_CONTEXT* sys = connection_.sys();
  nonce_caller_ = SizedBuffer<TPM2B_NONCE>(RandomBytes(kNonceSize));

  // Part 1, section 21.3. The size in front of the parameter stays as it is.
  size_t size = 0;
  const uint8_t* parameter = nullptr;
  TSS2_RC rc = tss2.Tss2_Sys_GetDecryptParam(sys, &size, &parameter);
  if (rc != TSS2_RC_SUCCESS) return rc;
  const Bytes mask =
      KdfA(key_, "CFB", View(nonce_caller_), View(nonce_tpm_), kAesKeySize + kAesBlockSize);
  Bytes encrypted(parameter, parameter + size);
  EncryptAes128Cfb(std::span(mask).first<kAesKeySize>(), std::span(mask).last<kAesBlockSize>(),
                   encrypted);
  rc = tss2.Tss2_Sys_SetDecryptParam(sys, encrypted.size(), encrypted.data());
  if (rc != TSS2_RC_SUCCESS) return rc;

  // Part 1, section 16.7.
  size_t parameters_size = 0;
  const uint8_t* parameters = nullptr;
  rc = tss2.Tss2_Sys_GetCpBuffer(sys, &parameters_size, &parameters);
  if (rc != TSS2_RC_SUCCESS) return rc;
  Bytes hashed = BigEndian(code);
  for (const Bytes& name : names) Append(hashed, name);
  Append(hashed, {parameters, parameters_size});
  const uint8_t attributes[] = {kAttributes};

  TSS2L_SYS_AUTH_COMMAND authorizations{};
  authorizations.count = 1;
  TPMS_AUTH_COMMAND& authorization = authorizations.auths[0];
  authorization.sessionHandle = session_.get();
  authorization.nonce = nonce_caller_;
  authorization.sessionAttributes = kAttributes;
  authorization.hmac = SizedBuffer<TPM2B_AUTH>(
      HmacSha256(key_, {Sha256(hashed), View(nonce_caller_), View(nonce_tpm_), attributes}));
  return tss2.Tss2_Sys_SetCmdAuths(sys, &authorizations);
}

void EncryptedSession::Verify(TPM2_CC code) {
  const Tss2Library& tss2 = connection_.tss2();
  TSS2_SYS_CONTEXT* sys = connection_.sys();
  TSS2L_SYS_AUTH_RESPONSE authorizations{};
  size_t parameters_size = 0;
  const uint8_t* parameters = nullptr;
  const TPMS_AUTH_RESPONSE& authorization = authorizations.auths[0];
  bool vouched_for =
      tss2.Tss2_Sys_GetRspAuths(sys, &authorizations) == TSS2_RC_SUCCESS &&
      tss2.Tss2_Sys_GetRpBuffer(sys, &parameters_size, &parameters) == TSS2_RC_SUCCESS;
  if (vouched_for) {
    // Part 1, section 16.8.
    Bytes hashed = BigEndian(TPM2_RC_SUCCESS);
    Append(hashed, BigEndian(code));
    Append(hashed, {parameters, parameters_size});
    const uint8_t attributes[] = {authorization.sessionAttributes};
    const Sha256Digest expected = HmacSha256(
        key_, {Sha256(hashed), View(authorization.nonce), View(nonce_caller_), attributes});
    vouched_for = authorization.hmac.size == expected.size() &&
                  CRYPTO_memcmp(authorization.hmac.buffer, expected.data(), expected.size()) == 0;
  }
  if (!vouched_for) {
    throw DeviceKeyError(ErrorCode::kPlatformError,
                         "the answer to an encrypted command does not carry the TPM's HMAC: "
                         "something between this program and the TPM has changed it");
  }
}

}  // namespace device_key
