#include "providers/tpm2/attestation_commands.h"

#include <algorithm>
#include <string>

#include "providers/tpm2/authorized_command.h"
#include "providers/tpm2/marshalling.h"

namespace device_key {
namespace {

// Every TPM reads this much at once. TPM2_NV_BUFFER_MAX (Part 2, table "TPM2_NV_BUFFER_MAX") may be
// less than an NV index holds.
constexpr uint16_t kNvReadBytes = 512;
// Large enough: a certificate has about 1,500 bytes.
constexpr uint16_t kMaxCertificateBytes = 8192;

TPM2_HANDLE CertificateIndex(EndorsementKeyType type) {
  switch (type) {
    case EndorsementKeyType::kRsa2048:
      return 0x01c00002;
    case EndorsementKeyType::kP256:
      return 0x01c0000a;
    case EndorsementKeyType::kP384:
      break;
  }
  return 0x01c00016;
}

DeviceKeyError EndorsementAuthRequired(TSS2_RC rc) {
  return DeviceKeyError(ErrorCode::kTpmOwnerAuthRequired,
                        "the TPM's endorsement hierarchy has a password, so its endorsement key "
                        "cannot be used. As the TPM's owner, remove it: "
                        "`tpm2_changeauth -c e -p <password>`",
                        rc);
}

// A policy session that satisfies the authPolicy of template L: PolicySecret of the endorsement
// hierarchy. The destructor flushes it, because a TPM without a resource manager has only three
// session slots. A session whose flush the TPM does not confirm stays in the connection's Orphans.
class EndorsementSession {
 public:
  explicit EndorsementSession(TpmConnection& connection) : connection_(connection) {
    const Tss2Library& tss2 = connection.tss2();
    TSS2_SYS_CONTEXT* sys = connection.sys();
    TPM2B_NONCE nonce{};
    nonce.size = 16;  // the minimum size; the session has no salt, so the nonce protects nothing
    const TPM2B_ENCRYPTED_SECRET no_salt{};
    TPMT_SYM_DEF no_encryption{};
    no_encryption.algorithm = TPM2_ALG_NULL;
    TPM2B_NONCE nonce_tpm{};
    connection.orphans().AddSession(connection);
    const TSS2_RC started = connection.Run(
        [&] {
          return tss2.Tss2_Sys_StartAuthSession_Prepare(sys, TPM2_RH_NULL, TPM2_RH_NULL, &nonce,
                                                        &no_salt, TPM2_SE_POLICY, &no_encryption,
                                                        TPM2_ALG_SHA256);
        },
        [&] { return tss2.Tss2_Sys_StartAuthSession_Complete(sys, &handle_, &nonce_tpm); });
    CheckTpm("start a policy session", started);

    const TPM2B_NONCE no_nonce{};
    const TPM2B_DIGEST no_command{};
    const TPM2B_NONCE no_reference{};
    TPM2B_TIMEOUT timeout{};
    TPMT_TK_AUTH ticket{};
    const TSS2_RC rc = RunAuthorized(
        connection, {PasswordSession()},
        [&] {
          return tss2.Tss2_Sys_PolicySecret_Prepare(sys, TPM2_RH_ENDORSEMENT, handle_, &no_nonce,
                                                    &no_command, &no_reference, 0);
        },
        [&] { return tss2.Tss2_Sys_PolicySecret_Complete(sys, &timeout, &ticket); });
    if (rc != TSS2_RC_SUCCESS) Flush();
    if (IsAuthFailure(rc)) throw EndorsementAuthRequired(rc);
    CheckTpm("authorize the endorsement key", rc);
  }
  ~EndorsementSession() { Flush(); }
  EndorsementSession(const EndorsementSession&) = delete;
  EndorsementSession& operator=(const EndorsementSession&) = delete;

  TPM2_HANDLE get() const { return handle_; }

 private:
  void Flush() {
    if (connection_.FlushObject(handle_)) connection_.orphans().RemoveSession();
  }

  TpmConnection& connection_;
  TPM2_HANDLE handle_ = 0;
};

}  // namespace

TpmKeyBlob CreateAttestationKey(TpmConnection& connection, TPM2_HANDLE parent) {
  const TpmKeyBlob blob = CreateKey(connection, parent, AttestationKeyTemplate(), {});
  if (!IsAttestationKey(blob.public_area.publicArea)) {
    throw DeviceKeyError(ErrorCode::kHardwareUnavailable,
                         "the TPM made an attestation key without the attributes that were asked "
                         "for");
  }
  return blob;
}

TpmHandle CreateEndorsementKey(TpmConnection& connection, EndorsementKeyType type,
                               TPM2B_PUBLIC& public_area) {
  const Tss2Library& tss2 = connection.tss2();
  TSS2_SYS_CONTEXT* sys = connection.sys();
  const TPM2B_SENSITIVE_CREATE no_auth{};
  const TPM2B_DATA nothing_from_outside{};
  const TPML_PCR_SELECTION no_pcrs{};
  const TPM2B_PUBLIC area = EndorsementKeyTemplate(type);
  TPM2_HANDLE handle = 0;
  TPM2B_NAME name{};
  public_area = {};
  const TSS2_RC rc = RunAuthorized(
      connection, {PasswordSession()},
      [&] {
        return tss2.Tss2_Sys_CreatePrimary_Prepare(sys, TPM2_RH_ENDORSEMENT, &no_auth, &area,
                                                   &nothing_from_outside, &no_pcrs);
      },
      [&] {
        return tss2.Tss2_Sys_CreatePrimary_Complete(sys, &handle, &public_area, nullptr, nullptr,
                                                    nullptr, &name);
      });
  if (IsAuthFailure(rc)) throw EndorsementAuthRequired(rc);
  const TSS2_RC bare = BareTpmCode(rc);
  if (bare == TPM2_RC_CURVE || bare == TPM2_RC_VALUE || bare == TPM2_RC_HIERARCHY) {
    throw DeviceKeyError(ErrorCode::kAttestationUnsupported,
                         "the TPM has no endorsement key of the type that was asked for", rc);
  }
  CheckTpm("derive the endorsement key", rc);
  return TpmHandle(connection, handle, Bytes(name.name, name.name + name.size));
}

std::optional<Bytes> ReadEndorsementCertificate(TpmConnection& connection,
                                                EndorsementKeyType type) {
  const Tss2Library& tss2 = connection.tss2();
  TSS2_SYS_CONTEXT* sys = connection.sys();
  const TPM2_HANDLE index = CertificateIndex(type);
  TPM2B_NV_PUBLIC area{};
  TPM2B_NAME name{};
  const TSS2_RC found =
      connection.Run([&] { return tss2.Tss2_Sys_NV_ReadPublic_Prepare(sys, index); },
                     [&] { return tss2.Tss2_Sys_NV_ReadPublic_Complete(sys, &area, &name); });
  if (BareTpmCode(found) == TPM2_RC_HANDLE) return std::nullopt;
  CheckTpm("look for the endorsement key's certificate", found);
  const uint16_t size = area.nvPublic.dataSize;
  if ((area.nvPublic.attributes & TPMA_NV_WRITTEN) == 0 || size > kMaxCertificateBytes) {
    return std::nullopt;
  }
  Bytes certificate;
  while (certificate.size() < size) {
    const auto offset = static_cast<uint16_t>(certificate.size());
    const uint16_t count = std::min<uint16_t>(kNvReadBytes, size - offset);
    TPM2B_MAX_NV_BUFFER data{};
    // The NV index authorizes reading itself, with an empty authValue (section 2.2.1.4).
    const TSS2_RC rc = RunAuthorized(
        connection, {PasswordSession()},
        [&] { return tss2.Tss2_Sys_NV_Read_Prepare(sys, index, index, count, offset); },
        [&] { return tss2.Tss2_Sys_NV_Read_Complete(sys, &data); });
    CheckTpm("read the endorsement key's certificate", rc);
    if (data.size != count) {
      throw DeviceKeyError(ErrorCode::kPlatformError,
                           "the TPM returned another number of bytes than it was asked for");
    }
    certificate.insert(certificate.end(), data.buffer, data.buffer + data.size);
  }
  return certificate;
}

CertifiedKey Certify(TpmConnection& connection, TPM2_HANDLE key, const TPM2B_AUTH& auth,
                     TPM2_HANDLE attestation_key, ByteView qualifying_data) {
  const Tss2Library& tss2 = connection.tss2();
  TSS2_SYS_CONTEXT* sys = connection.sys();
  TPM2B_DATA challenge{};
  challenge.size = static_cast<uint16_t>(qualifying_data.size());
  std::copy(qualifying_data.begin(), qualifying_data.end(), challenge.buffer);
  TPMT_SIG_SCHEME key_scheme{};
  key_scheme.scheme = TPM2_ALG_NULL;  // the scheme of the attestation key
  TPM2B_ATTEST attest{};
  TPMT_SIGNATURE signature{};
  const TSS2_RC rc = RunAuthorized(
      connection, {PasswordSession(auth), PasswordSession()},
      [&] {
        return tss2.Tss2_Sys_Certify_Prepare(sys, key, attestation_key, &challenge, &key_scheme);
      },
      [&] { return tss2.Tss2_Sys_Certify_Complete(sys, &attest, &signature); });
  CheckKeyAuthorized("certify the key", rc);
  return {Bytes(attest.attestationData, attest.attestationData + attest.size),
          Marshalled(signature)};
}

Bytes ActivateCredential(TpmConnection& connection, TPM2_HANDLE attestation_key,
                         TPM2_HANDLE endorsement_key, EndorsementKeyType type,
                         const TPM2B_ID_OBJECT& credential,
                         const TPM2B_ENCRYPTED_SECRET& encrypted_secret) {
  const Tss2Library& tss2 = connection.tss2();
  TSS2_SYS_CONTEXT* sys = connection.sys();
  // The key of template H has userWithAuth and an empty authValue.
  std::optional<EndorsementSession> session;
  if (type != EndorsementKeyType::kP384) session.emplace(connection);
  TPM2B_DIGEST secret{};
  const TSS2_RC rc = RunAuthorized(
      connection, {PasswordSession(), session ? PolicySession(session->get()) : PasswordSession()},
      [&] {
        return tss2.Tss2_Sys_ActivateCredential_Prepare(sys, attestation_key, endorsement_key,
                                                        &credential, &encrypted_secret);
      },
      [&] { return tss2.Tss2_Sys_ActivateCredential_Complete(sys, &secret); });
  switch (BareTpmCode(rc)) {
    case TPM2_RC_INTEGRITY:
    case TPM2_RC_SIZE:
    case TPM2_RC_VALUE:
    case TPM2_RC_ECC_POINT:
    case TPM2_RC_FAILURE:
      throw DeviceKeyError(ErrorCode::kInvalidParams,
                           "credentialBlob, encryptedSecret: expected a credential for this TPM "
                           "and its attestation key",
                           rc);
    default:
      break;
  }
  CheckTpm("activate the credential", rc);
  const ByteView view = View(secret);
  return Bytes(view.begin(), view.end());
}

}  // namespace device_key
