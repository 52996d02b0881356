#include "providers/tpm2/tpm_commands.h"

#include <algorithm>
#include <string>

#include "crypto/p256.h"
#include "providers/tpm2/key_templates.h"

namespace device_key {
namespace {

TpmHandle StartSaltedSession(TpmConnection& connection, ESYS_TR salt_key,
                             const OperationLimits& limits) {
  const Tss2Library& tss2 = connection.tss2();
  ESYS_CONTEXT* esys = connection.esys();
  TPMT_SYM_DEF symmetric{};
  symmetric.algorithm = TPM2_ALG_AES;
  symmetric.keyBits.aes = 128;
  symmetric.mode.aes = TPM2_ALG_CFB;
  ESYS_TR handle = ESYS_TR_NONE;
  CheckTpm("start a session",
           connection.Run(
               limits,
               [&] {
                 return tss2.Esys_StartAuthSession_Async(esys, salt_key, ESYS_TR_NONE, ESYS_TR_NONE,
                                                         ESYS_TR_NONE, ESYS_TR_NONE, nullptr,
                                                         TPM2_SE_HMAC, &symmetric, TPM2_ALG_SHA256);
               },
               [&] { return tss2.Esys_StartAuthSession_Finish(esys, &handle); }));
  TpmHandle session(connection, handle);
  // Continued, so that there is one way for it to end: our flush, whatever becomes of the command.
  constexpr TPMA_SESSION kAttributes = TPMA_SESSION_DECRYPT | TPMA_SESSION_CONTINUESESSION;
  CheckTpm("set up a session", tss2.Esys_TRSess_SetAttributes(esys, handle, kAttributes, 0xFF));
  return session;
}

ByteView View(const TPM2B_ECC_PARAMETER& parameter) { return {parameter.buffer, parameter.size}; }

// CheckTpm for a command that a device key's authValue authorizes.
void CheckAuthorized(const std::string& attempt, TSS2_RC rc) {
  if (IsAuthFailure(rc)) {
    throw DeviceKeyError(ErrorCode::kBindingMismatch,
                         "the TPM refused to " + attempt +
                             ": it was enrolled for another account or client than its record says",
                         rc);
  }
  CheckTpm(attempt, rc);
}

}  // namespace

TpmKeyBlob CreateDeviceKey(TpmConnection& connection, ESYS_TR parent, const TPM2B_AUTH& auth,
                           const OperationLimits& limits) {
  const Tss2Library& tss2 = connection.tss2();
  ESYS_CONTEXT* esys = connection.esys();
  const TpmHandle session = StartSaltedSession(connection, parent, limits);
  TPM2B_SENSITIVE_CREATE sensitive{};
  sensitive.sensitive.userAuth = auth;
  const TPM2B_PUBLIC area = DeviceKeyTemplate();
  const TPM2B_DATA outside_info{};
  const TPML_PCR_SELECTION pcrs{};
  TPM2B_PUBLIC* public_area = nullptr;
  TPM2B_PRIVATE* private_area = nullptr;
  const TSS2_RC rc = connection.Run(
      limits,
      [&] {
        return tss2.Esys_Create_Async(esys, parent, session.get(), ESYS_TR_NONE, ESYS_TR_NONE,
                                      &sensitive, &area, &outside_info, &pcrs);
      },
      [&] {
        return tss2.Esys_Create_Finish(esys, &private_area, &public_area, nullptr, nullptr,
                                       nullptr);
      });
  const EsysPtr<TPM2B_PUBLIC> owned_public(public_area);
  const EsysPtr<TPM2B_PRIVATE> owned_private(private_area);
  if (IsAuthFailure(rc)) {
    throw DeviceKeyError(ErrorCode::kTpmOwnerAuthRequired,
                         "the TPM's storage key at 0x81000001 has a password, so no key can be "
                         "made under it. As the TPM's owner, replace it by one without",
                         rc);
  }
  CheckTpm("create the key", rc);
  // Read back what makes the key non-exportable; hardware has been seen to answer with something
  // else than it was asked for.
  if (!IsDeviceKey(public_area->publicArea)) {
    throw DeviceKeyError(ErrorCode::kHardwareUnavailable,
                         "the TPM made a key without the attributes that keep it inside the TPM");
  }
  return {*public_area, *private_area};
}

TpmHandle LoadKey(TpmConnection& connection, ESYS_TR parent, const TpmKeyBlob& blob,
                  const OperationLimits& limits) {
  const Tss2Library& tss2 = connection.tss2();
  ESYS_CONTEXT* esys = connection.esys();
  ESYS_TR handle = ESYS_TR_NONE;
  const TSS2_RC rc = connection.Run(
      limits,
      [&] {
        return tss2.Esys_Load_Async(esys, parent, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                                    &blob.private_area, &blob.public_area);
      },
      [&] { return tss2.Esys_Load_Finish(esys, &handle); });
  if (IsAuthFailure(rc)) {
    throw DeviceKeyError(ErrorCode::kTpmOwnerAuthRequired,
                         "the TPM's storage key at 0x81000001 has been given a password, so the "
                         "keys under it cannot be used. As the TPM's owner, take it away",
                         rc);
  }
  CheckTpm("load the key", rc);
  return TpmHandle(connection, handle);
}

EsysPtr<TPMS_CONTEXT> SaveContext(TpmConnection& connection, ESYS_TR object,
                                  const OperationLimits& limits) {
  const Tss2Library& tss2 = connection.tss2();
  ESYS_CONTEXT* esys = connection.esys();
  TPMS_CONTEXT* context = nullptr;
  connection.Run(
      limits, [&] { return tss2.Esys_ContextSave_Async(esys, object); },
      [&] { return tss2.Esys_ContextSave_Finish(esys, &context); });
  return EsysPtr<TPMS_CONTEXT>(context);
}

TSS2_RC LoadContext(TpmConnection& connection, const TPMS_CONTEXT& context, TpmHandle& object,
                    const OperationLimits& limits) {
  const Tss2Library& tss2 = connection.tss2();
  ESYS_CONTEXT* esys = connection.esys();
  ESYS_TR handle = ESYS_TR_NONE;
  const TSS2_RC rc = connection.Run(
      limits, [&] { return tss2.Esys_ContextLoad_Async(esys, &context); },
      [&] { return tss2.Esys_ContextLoad_Finish(esys, &handle); });
  if (rc == TSS2_RC_SUCCESS) object = TpmHandle(connection, handle);
  return rc;
}

TPM2B_PRIVATE ChangeAuth(TpmConnection& connection, ESYS_TR key, ESYS_TR parent,
                         const TPM2B_AUTH& old_auth, const TPM2B_AUTH& new_auth,
                         const OperationLimits& limits) {
  const Tss2Library& tss2 = connection.tss2();
  ESYS_CONTEXT* esys = connection.esys();
  const TpmHandle session = StartSaltedSession(connection, parent, limits);
  CheckTpm("authorize the key", tss2.Esys_TR_SetAuth(esys, key, &old_auth));
  TPM2B_PRIVATE* private_area = nullptr;
  const TSS2_RC rc = connection.Run(
      limits,
      [&] {
        return tss2.Esys_ObjectChangeAuth_Async(esys, key, parent, session.get(), ESYS_TR_NONE,
                                                ESYS_TR_NONE, &new_auth);
      },
      [&] { return tss2.Esys_ObjectChangeAuth_Finish(esys, &private_area); });
  const EsysPtr<TPM2B_PRIVATE> owned_private(private_area);
  CheckAuthorized("bind the key to its enrollment", rc);
  return *private_area;
}

TSS2_RC FindObject(TpmConnection& connection, TPM2_HANDLE number, ESYS_TR& object,
                   const OperationLimits& limits) {
  const Tss2Library& tss2 = connection.tss2();
  ESYS_CONTEXT* esys = connection.esys();
  return connection.Run(
      limits,
      [&] {
        return tss2.Esys_TR_FromTPMPublic_Async(esys, number, ESYS_TR_NONE, ESYS_TR_NONE,
                                                ESYS_TR_NONE);
      },
      [&] { return tss2.Esys_TR_FromTPMPublic_Finish(esys, &object); });
}

Bytes NameOf(const TpmConnection& connection, ESYS_TR object) {
  TPM2B_NAME* name = nullptr;
  const TSS2_RC rc = connection.tss2().Esys_TR_GetName(connection.esys(), object, &name);
  const EsysPtr<TPM2B_NAME> owned_name(name);
  CheckTpm("name a key", rc);
  return Bytes(name->name, name->name + name->size);
}

bool IsStillLoaded(TpmConnection& connection, ESYS_TR object, const OperationLimits& limits) {
  const Tss2Library& tss2 = connection.tss2();
  ESYS_CONTEXT* esys = connection.esys();
  TPM2B_NAME* found = nullptr;
  const TSS2_RC rc = connection.Run(
      limits,
      [&] {
        return tss2.Esys_ReadPublic_Async(esys, object, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE);
      },
      [&] { return tss2.Esys_ReadPublic_Finish(esys, nullptr, &found, nullptr); });
  const EsysPtr<TPM2B_NAME> owned_found(found);
  if (IsStaleHandle(rc)) return false;
  CheckTpm("read a public key", rc);
  return Bytes(found->name, found->name + found->size) == NameOf(connection, object);
}

Bytes SignDigest(TpmConnection& connection, ESYS_TR key, const TPM2B_AUTH& auth,
                 const Sha256Digest& digest, const OperationLimits& limits) {
  const Tss2Library& tss2 = connection.tss2();
  ESYS_CONTEXT* esys = connection.esys();
  CheckTpm("authorize the key", tss2.Esys_TR_SetAuth(esys, key, &auth));
  TPM2B_DIGEST hash{};
  hash.size = static_cast<uint16_t>(digest.size());
  std::copy(digest.begin(), digest.end(), hash.buffer);
  TPMT_SIG_SCHEME scheme{};
  scheme.scheme = TPM2_ALG_ECDSA;
  scheme.details.ecdsa.hashAlg = TPM2_ALG_SHA256;
  // The key is not restricted, so any digest may be signed: a null ticket says that the TPM did
  // not make the hash itself (Part 3, section 20.2).
  TPMT_TK_HASHCHECK ticket{};
  ticket.tag = TPM2_ST_HASHCHECK;
  ticket.hierarchy = TPM2_RH_NULL;
  TPMT_SIGNATURE* signature = nullptr;
  const TSS2_RC rc = connection.Run(
      limits,
      [&] {
        return tss2.Esys_Sign_Async(esys, key, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &hash,
                                    &scheme, &ticket);
      },
      [&] { return tss2.Esys_Sign_Finish(esys, &signature); });
  const EsysPtr<TPMT_SIGNATURE> owned_signature(signature);
  CheckAuthorized("sign with the key", rc);
  if (signature->sigAlg != TPM2_ALG_ECDSA) {
    throw DeviceKeyError(ErrorCode::kCryptoError, "the TPM made a signature of another kind");
  }
  const TPMS_SIGNATURE_ECC& ecdsa = signature->signature.ecdsa;
  return EcdsaDerFromRaw(View(ecdsa.signatureR), View(ecdsa.signatureS));
}

EsysPtr<TPMS_CAPABILITY_DATA> GetCapability(TpmConnection& connection, TPM2_CAP capability,
                                            uint32_t first, uint32_t count,
                                            const OperationLimits& limits) {
  const Tss2Library& tss2 = connection.tss2();
  ESYS_CONTEXT* esys = connection.esys();
  TPMS_CAPABILITY_DATA* data = nullptr;
  const TSS2_RC rc = connection.Run(
      limits,
      [&] {
        return tss2.Esys_GetCapability_Async(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                             capability, first, count);
      },
      [&] { return tss2.Esys_GetCapability_Finish(esys, nullptr, &data); });
  EsysPtr<TPMS_CAPABILITY_DATA> owned_data(data);
  CheckTpm("read the TPM's capabilities", rc);
  // Its lists share one memory: read as another, one would end behind it.
  if (data->capability != capability) {
    throw DeviceKeyError(ErrorCode::kHardwareUnavailable,
                         "the TPM answered with another capability than it was asked for");
  }
  return owned_data;
}

}  // namespace device_key
