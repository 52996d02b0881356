#include "providers/tpm2/encrypted_session.h"

#include <openssl/crypto.h>

#include <span>

#include "crypto/aes_cfb.h"
#include "crypto/random.h"
#include "crypto/secret_sharing.h"
#include "crypto/tpm_kdf.h"
#include "providers/tpm2/key_templates.h"
#include "providers/tpm2/marshalling.h"
#include "providers/tpm2/wire.h"

namespace device_key {
namespace {

// As long as the digests of the session's hash: the longest that makes sense (Part 1,
// section 19.6).
constexpr size_t kNonceSize = 32;
constexpr size_t kKeySize = 32;
constexpr size_t kAesKeySize = 16;
constexpr size_t kAesBlockSize = 16;

// Not continued: the TPM ends the session itself when its command has succeeded, which spares a
// command.
constexpr TPMA_SESSION kAttributes = TPMA_SESSION_DECRYPT;

SharedSecret NewSalt(const TPMT_PUBLIC& key) {
  constexpr char kLabel[] = "SECRET";
  const TpmHash hash = NameHash(key);
  if (key.type == TPM2_ALG_RSA) {
    // Part 2, section 12.2.3.5: a zero stands for the usual exponent.
    const uint32_t exponent = key.parameters.rsaDetail.exponent;
    return ShareSecret(View(key.unique.rsa), exponent == 0 ? 65537 : exponent, hash, kLabel);
  }
  const TpmCurve curve =
      key.parameters.eccDetail.curveID == TPM2_ECC_NIST_P256 ? TpmCurve::kP256 : TpmCurve::kP384;
  return ShareSecret(curve, View(key.unique.ecc.x), View(key.unique.ecc.y), hash, kLabel);
}

}  // namespace

EncryptedSession::EncryptedSession(TpmConnection& connection, TPM2_HANDLE number,
                                   const TPMT_PUBLIC& salt_key, const OperationLimits& limits)
    : connection_(connection) {
  const SharedSecret salt = NewSalt(salt_key);
  const Bytes nonce_caller = RandomBytes(kNonceSize);
  WireWriter command;
  command.Header(TPM2_ST_NO_SESSIONS, TPM2_CC_StartAuthSession).U32(number).U32(TPM2_RH_NULL);
  command.Sized(nonce_caller).Sized(salt.encrypted).U8(TPM2_SE_HMAC);
  command.U16(TPM2_ALG_AES).U16(8 * kAesKeySize).U16(TPM2_ALG_CFB).U16(TPM2_ALG_SHA256);
  Bytes response;
  CheckTpm("start a session", connection_.Exchange(command.Command(), limits, response));

  WireReader reader(response);
  handle_ = reader.U32();
  open_ = reader.ok();
  const ByteView nonce_tpm = reader.Sized();
  if (!reader.ok()) throw TpmError("start a session", TSS2_ESYS_RC_MALFORMED_RESPONSE);
  nonce_tpm_.assign(nonce_tpm.begin(), nonce_tpm.end());
  key_ = KdfA(salt.secret, "ATH", nonce_tpm_, nonce_caller, kKeySize);
}

EncryptedSession::~EncryptedSession() {
  if (open_) connection_.Flush(handle_);
}

// Part 1, section 19.6.8: HMACs and encryption depend on the authValue of what is authorized.
Bytes EncryptedSession::AuthorizationKey(ByteView auth_value) const {
  Bytes key = key_;
  key.insert(key.end(), auth_value.begin(), auth_value.end());
  return key;
}

TSS2_RC EncryptedSession::Run(SessionCommand command, const OperationLimits& limits,
                              Bytes& response) {
  const Bytes key = AuthorizationKey(command.auth_value);
  const Bytes nonce_caller = RandomBytes(kNonceSize);
  const uint8_t attributes[] = {kAttributes};

  // Part 1, section 21.3: what follows the first parameter's size is encrypted.
  const size_t first_size = WireReader(command.parameters).U16();
  const Bytes mask = KdfA(key, "CFB", nonce_caller, nonce_tpm_, kAesKeySize + kAesBlockSize);
  EncryptAes128Cfb(std::span(mask).first<kAesKeySize>(), std::span(mask).last<kAesBlockSize>(),
                   std::span(command.parameters).subspan(sizeof(uint16_t), first_size));

  // Part 1, section 16.7: what the HMAC is over.
  WireWriter hashed;
  hashed.U32(command.code);
  for (const TpmEntity& entity : command.handles) hashed.Raw(entity.name);
  const Sha256Digest cp_hash = Sha256(hashed.Raw(command.parameters).bytes());
  const Sha256Digest hmac = HmacSha256(key, {cp_hash, nonce_caller, nonce_tpm_, attributes});

  WireWriter authorization;
  authorization.U32(handle_).Sized(nonce_caller).U8(kAttributes).Sized(hmac);
  WireWriter whole;
  whole.Header(TPM2_ST_SESSIONS, command.code);
  for (const TpmEntity& entity : command.handles) whole.U32(entity.handle);
  whole.U32(static_cast<uint32_t>(authorization.bytes().size())).Raw(authorization.bytes());
  whole.Raw(command.parameters);
  Bytes answer;
  const TSS2_RC rc = connection_.Exchange(whole.Command(), limits, answer);
  if (rc != TSS2_RC_SUCCESS) return rc;
  open_ = false;

  WireReader reader(answer);
  const ByteView parameters = reader.Raw(reader.U32());
  const ByteView nonce_tpm = reader.Sized();
  const ByteView answered_attributes = reader.Raw(1);
  const ByteView answered_hmac = reader.Sized();
  if (!reader.ok() || !reader.at_end()) return TSS2_ESYS_RC_MALFORMED_RESPONSE;
  // Part 1, section 16.8.
  const Sha256Digest rp_hash =
      Sha256(WireWriter().U32(TPM2_RC_SUCCESS).U32(command.code).Raw(parameters).bytes());
  const Sha256Digest expected =
      HmacSha256(key, {rp_hash, nonce_tpm, nonce_caller, answered_attributes});
  if (answered_hmac.size() != expected.size() ||
      CRYPTO_memcmp(answered_hmac.data(), expected.data(), expected.size()) != 0) {
    return TSS2_ESYS_RC_RSP_AUTH_FAILED;
  }
  response.assign(parameters.begin(), parameters.end());
  return TSS2_RC_SUCCESS;
}

}  // namespace device_key
