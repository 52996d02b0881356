#include "providers/tpm2/tpm_commands.h"

#include <algorithm>
#include <string>

#include "crypto/p256.h"
#include "providers/tpm2/encrypted_session.h"
#include "providers/tpm2/key_templates.h"
#include "providers/tpm2/marshalling.h"
#include "providers/tpm2/wire.h"

namespace device_key {
namespace {

// The TPM's own handle of what ESYS knows as `object`.
TPM2_HANDLE NumberOf(const TpmConnection& connection, ESYS_TR object) {
  TPM2_HANDLE number = 0;
  CheckTpm("find a key's handle",
           connection.tss2().Esys_TR_GetTpmHandle(connection.esys(), object, &number));
  return number;
}

// The next structure of `response`.
template <class Structure>
Structure Next(const Bytes& response, size_t& offset) {
  Structure value{};
  if (!Unmarshal(response, offset, value)) {
    throw TpmError("read the new key", TSS2_ESYS_RC_MALFORMED_RESPONSE);
  }
  return value;
}

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

TpmKeyBlob CreateDeviceKey(TpmConnection& connection, const StorageParent& parent,
                           const TPM2B_AUTH& auth, const OperationLimits& limits) {
  const TpmEntity below{NumberOf(connection, parent.object), NameOf(parent.public_area)};
  EncryptedSession session(connection, below.handle, parent.public_area.publicArea, limits);

  // Part 3, section 12.1: the sensitive area (an authValue and no data), the template, nothing from
  // outside, no PCRs.
  WireWriter sensitive;
  sensitive.Sized(View(auth)).Sized({});
  WireWriter parameters;
  parameters.Sized(sensitive.bytes());
  parameters.Raw(Marshalled(DeviceKeyTemplate()));
  parameters.Sized({}).U32(0);
  Bytes response;
  const TSS2_RC rc = session.Run({.code = TPM2_CC_Create,
                                  .handles = {below},
                                  .auth_value = {},
                                  .parameters = std::move(parameters.bytes())},
                                 limits, response);
  if (IsAuthFailure(rc)) {
    throw DeviceKeyError(ErrorCode::kTpmOwnerAuthRequired,
                         "the TPM's storage key at 0x81000001 has a password, so no key can be "
                         "made under it. As the TPM's owner, replace it by one without",
                         rc);
  }
  CheckTpm("create the key", rc);
  size_t offset = 0;
  TpmKeyBlob blob;
  blob.private_area = Next<TPM2B_PRIVATE>(response, offset);
  blob.public_area = Next<TPM2B_PUBLIC>(response, offset);
  // Read back what makes the key non-exportable; hardware has been seen to answer with something
  // else than it was asked for.
  if (!IsDeviceKey(blob.public_area.publicArea)) {
    throw DeviceKeyError(ErrorCode::kHardwareUnavailable,
                         "the TPM made a key without the attributes that keep it inside the TPM");
  }
  return blob;
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

TPM2B_PRIVATE ChangeAuth(TpmConnection& connection, ESYS_TR key, const StorageParent& parent,
                         const TPM2B_AUTH& old_auth, const TPM2B_AUTH& new_auth,
                         const OperationLimits& limits) {
  const TpmEntity below{NumberOf(connection, parent.object), NameOf(parent.public_area)};
  EncryptedSession session(connection, below.handle, parent.public_area.publicArea, limits);
  WireWriter parameters;
  parameters.Sized(View(new_auth));
  Bytes response;
  const TSS2_RC rc =
      session.Run({.code = TPM2_CC_ObjectChangeAuth,
                   .handles = {{NumberOf(connection, key), NameOf(connection, key)}, below},
                   .auth_value = View(old_auth),
                   .parameters = std::move(parameters.bytes())},
                  limits, response);
  CheckAuthorized("bind the key to its enrollment", rc);
  size_t offset = 0;
  return Next<TPM2B_PRIVATE>(response, offset);
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
