#include "providers/tpm2/tpm_commands.h"

#include <algorithm>
#include <string>

#include "crypto/p256.h"
#include "providers/tpm2/authorized_command.h"
#include "providers/tpm2/key_templates.h"
#include "providers/tpm2/marshalling.h"

namespace device_key {
namespace {

const TPM2B_DATA kNothingFromOutside{};
const TPML_PCR_SELECTION kNoPcrs{};

// Returns `rc`, or an error if the name of the loaded object is not the one of its public area.
TSS2_RC Named(TSS2_RC rc, const TPM2B_NAME& found, ByteView expected) {
  if (rc != TSS2_RC_SUCCESS) return rc;
  const bool same =
      std::equal(found.name, found.name + found.size, expected.begin(), expected.end());
  return same ? TSS2_RC_SUCCESS : TSS2_SYS_RC_MALFORMED_RESPONSE;
}

}  // namespace

TpmHandle CreatePrimary(TpmConnection& connection, TPM2B_PUBLIC& public_area) {
  const Tss2Library& tss2 = connection.tss2();
  TSS2_SYS_CONTEXT* sys = connection.sys();
  const TPM2B_SENSITIVE_CREATE no_auth{};
  const TPM2B_PUBLIC area = StorageKeyTemplate();
  TPM2_HANDLE handle = 0;
  TPM2B_NAME name{};
  public_area = {};
  connection.orphans().AddPrimary();
  const TSS2_RC rc = RunAuthorized(
      connection, {PasswordSession()},
      [&] {
        return tss2.Tss2_Sys_CreatePrimary_Prepare(sys, TPM2_RH_OWNER, &no_auth, &area,
                                                   &kNothingFromOutside, &kNoPcrs);
      },
      [&] {
        const TSS2_RC answer = tss2.Tss2_Sys_CreatePrimary_Complete(
            sys, &handle, &public_area, nullptr, nullptr, nullptr, &name);
        return answer == TSS2_RC_SUCCESS ? Named(answer, name, NameOf(public_area)) : answer;
      });
  if (IsAuthFailure(rc)) {
    throw DeviceKeyError(
        ErrorCode::kTpmOwnerAuthRequired,
        "the TPM's owner hierarchy has a password and there is no storage key at 0x81000001, so no "
        "parent for device keys can be derived. As the TPM's owner, make one persistent: "
        "`tpm2_createprimary -C o -P <password> -G ecc -a 'fixedtpm|fixedparent|"
        "sensitivedataorigin|userwithauth|noda|restricted|decrypt' -c srk.ctx` and "
        "`tpm2_evictcontrol -C o -P <password> -c srk.ctx 0x81000001`",
        rc);
  }
  CheckTpm("derive the storage key", rc);
  TpmHandle primary(connection, handle, Bytes(name.name, name.name + name.size));
  connection.orphans().RemovePrimary();
  return primary;
}

TpmKeyBlob CreateKey(TpmConnection& connection, TPM2_HANDLE parent, const TPM2B_PUBLIC& area,
                     const TPM2B_AUTH& auth) {
  const Tss2Library& tss2 = connection.tss2();
  TSS2_SYS_CONTEXT* sys = connection.sys();
  TPM2B_SENSITIVE_CREATE sensitive{};
  sensitive.sensitive.userAuth = auth;
  TpmKeyBlob blob{};
  const TSS2_RC rc = RunAuthorized(
      connection, {PasswordSession()},
      [&] {
        return tss2.Tss2_Sys_Create_Prepare(sys, parent, &sensitive, &area, &kNothingFromOutside,
                                            &kNoPcrs);
      },
      [&] {
        return tss2.Tss2_Sys_Create_Complete(sys, &blob.private_area, &blob.public_area, nullptr,
                                             nullptr, nullptr);
      });
  if (IsAuthFailure(rc)) {
    throw DeviceKeyError(ErrorCode::kTpmOwnerAuthRequired,
                         "the TPM's storage key at 0x81000001 has a password, so no key can be "
                         "made under it. As the TPM's owner, replace it by one without",
                         rc);
  }
  CheckTpm("create the key", rc);
  return blob;
}

TpmKeyBlob CreateDeviceKey(TpmConnection& connection, TPM2_HANDLE parent, const TPM2B_AUTH& auth) {
  const TpmKeyBlob blob = CreateKey(connection, parent, DeviceKeyTemplate(), auth);
  // Check the attributes that make the key non-exportable, because some hardware returns other
  // attributes than the template has.
  if (!IsDeviceKey(blob.public_area.publicArea)) {
    throw DeviceKeyError(ErrorCode::kHardwareUnavailable,
                         "the TPM made a key without the attributes that keep it inside the TPM");
  }
  return blob;
}

TpmHandle LoadKey(TpmConnection& connection, TPM2_HANDLE parent, const TpmKeyBlob& blob,
                  const Bytes& name) {
  const Tss2Library& tss2 = connection.tss2();
  TSS2_SYS_CONTEXT* sys = connection.sys();
  TPM2_HANDLE handle = 0;
  TPM2B_NAME loaded{};
  connection.orphans().Add(name);
  const TSS2_RC rc = RunAuthorized(
      connection, {PasswordSession()},
      [&] {
        return tss2.Tss2_Sys_Load_Prepare(sys, parent, &blob.private_area, &blob.public_area);
      },
      [&] { return Named(tss2.Tss2_Sys_Load_Complete(sys, &handle, &loaded), loaded, name); });
  if (IsAuthFailure(rc)) {
    throw DeviceKeyError(ErrorCode::kTpmOwnerAuthRequired,
                         "the TPM's storage key at 0x81000001 has been given a password, so the "
                         "keys under it cannot be used. As the TPM's owner, remove it",
                         rc);
  }
  CheckTpm("load the key", rc);
  TpmHandle key(connection, handle, name);
  connection.orphans().Remove(name);
  return key;
}

std::unique_ptr<TPMS_CONTEXT> SaveContext(TpmConnection& connection, TPM2_HANDLE object) {
  const Tss2Library& tss2 = connection.tss2();
  TSS2_SYS_CONTEXT* sys = connection.sys();
  auto context = std::make_unique<TPMS_CONTEXT>();
  const TSS2_RC rc =
      connection.Run([&] { return tss2.Tss2_Sys_ContextSave_Prepare(sys, object); },
                     [&] { return tss2.Tss2_Sys_ContextSave_Complete(sys, context.get()); });
  return rc == TSS2_RC_SUCCESS ? std::move(context) : nullptr;
}

TSS2_RC LoadContext(TpmConnection& connection, const TPMS_CONTEXT& context, const Bytes& name,
                    TpmHandle& object) {
  const Tss2Library& tss2 = connection.tss2();
  TSS2_SYS_CONTEXT* sys = connection.sys();
  TPM2_HANDLE handle = 0;
  connection.orphans().Add(name);
  const TSS2_RC rc =
      connection.Run([&] { return tss2.Tss2_Sys_ContextLoad_Prepare(sys, &context); },
                     [&] { return tss2.Tss2_Sys_ContextLoad_Complete(sys, &handle); });
  if (rc == TSS2_RC_SUCCESS) {
    object = TpmHandle(connection, handle, name);
    connection.orphans().Remove(name);
  }
  return rc;
}

TPM2B_PRIVATE ChangeAuth(TpmConnection& connection, TPM2_HANDLE key, TPM2_HANDLE parent,
                         const TPM2B_AUTH& old_auth, const TPM2B_AUTH& new_auth) {
  const Tss2Library& tss2 = connection.tss2();
  TSS2_SYS_CONTEXT* sys = connection.sys();
  TPM2B_PRIVATE private_area{};
  const TSS2_RC rc = RunAuthorized(
      connection, {PasswordSession(old_auth)},
      [&] { return tss2.Tss2_Sys_ObjectChangeAuth_Prepare(sys, key, parent, &new_auth); },
      [&] { return tss2.Tss2_Sys_ObjectChangeAuth_Complete(sys, &private_area); });
  CheckKeyAuthorized("bind the key to its enrollment", rc);
  return private_area;
}

TSS2_RC ReadPublic(TpmConnection& connection, TPM2_HANDLE handle, TPM2B_PUBLIC& public_area,
                   Bytes& name) {
  const Tss2Library& tss2 = connection.tss2();
  TSS2_SYS_CONTEXT* sys = connection.sys();
  public_area = {};
  TPM2B_NAME found{};
  TPM2B_NAME qualified{};
  const TSS2_RC rc = connection.Run(
      [&] { return tss2.Tss2_Sys_ReadPublic_Prepare(sys, handle); },
      [&] { return tss2.Tss2_Sys_ReadPublic_Complete(sys, &public_area, &found, &qualified); });
  name.assign(found.name, found.name + found.size);
  return rc;
}

bool IsStillLoaded(TpmConnection& connection, TPM2_HANDLE handle, ByteView name) {
  TPM2B_PUBLIC public_area;
  Bytes found;
  const TSS2_RC rc = ReadPublic(connection, handle, public_area, found);
  return rc == TSS2_RC_SUCCESS && std::equal(found.begin(), found.end(), name.begin(), name.end());
}

void CheckKeyAuthorized(const std::string& attempt, TSS2_RC rc) {
  if (IsAuthFailure(rc)) {
    throw DeviceKeyError(ErrorCode::kBindingMismatch,
                         "the TPM refused to " + attempt +
                             ": the key was made for another account or client, or for other "
                             "origins, than its record says",
                         rc);
  }
  CheckTpm(attempt, rc);
}

Bytes SignDigest(TpmConnection& connection, TPM2_HANDLE key, const TPM2B_AUTH& auth,
                 const Sha256Digest& digest) {
  const Tss2Library& tss2 = connection.tss2();
  TSS2_SYS_CONTEXT* sys = connection.sys();
  TPM2B_DIGEST hash{};
  hash.size = static_cast<uint16_t>(digest.size());
  std::copy(digest.begin(), digest.end(), hash.buffer);
  TPMT_SIG_SCHEME scheme{};
  scheme.scheme = TPM2_ALG_ECDSA;
  scheme.details.ecdsa.hashAlg = TPM2_ALG_SHA256;
  // The key is not restricted, so it signs any digest. The null ticket says that the TPM did not
  // compute the digest (Part 3, section 20.2).
  TPMT_TK_HASHCHECK ticket{};
  ticket.tag = TPM2_ST_HASHCHECK;
  ticket.hierarchy = TPM2_RH_NULL;
  TPMT_SIGNATURE signature{};
  const TSS2_RC rc = RunAuthorized(
      connection, {PasswordSession(auth)},
      [&] { return tss2.Tss2_Sys_Sign_Prepare(sys, key, &hash, &scheme, &ticket); },
      [&] { return tss2.Tss2_Sys_Sign_Complete(sys, &signature); });
  CheckKeyAuthorized("sign with the key", rc);
  if (signature.sigAlg != TPM2_ALG_ECDSA) {
    throw DeviceKeyError(ErrorCode::kCryptoError, "the TPM made a signature of another kind");
  }
  const TPMS_SIGNATURE_ECC& ecdsa = signature.signature.ecdsa;
  return EcdsaDerFromRaw(View(ecdsa.signatureR), View(ecdsa.signatureS));
}

TSS2_RC PolicyDigest(TpmConnection& connection, TPM2_HANDLE session, Bytes& digest) {
  const Tss2Library& tss2 = connection.tss2();
  TSS2_SYS_CONTEXT* sys = connection.sys();
  TPM2B_DIGEST found{};
  const TSS2_RC rc =
      connection.Run([&] { return tss2.Tss2_Sys_PolicyGetDigest_Prepare(sys, session); },
                     [&] { return tss2.Tss2_Sys_PolicyGetDigest_Complete(sys, &found); });
  const ByteView view = View(found);
  digest.assign(view.begin(), view.end());
  return rc;
}

TPMS_CAPABILITY_DATA GetCapability(TpmConnection& connection, TPM2_CAP capability, uint32_t first,
                                   uint32_t count) {
  const Tss2Library& tss2 = connection.tss2();
  TSS2_SYS_CONTEXT* sys = connection.sys();
  TPMI_YES_NO more = 0;
  TPMS_CAPABILITY_DATA data{};
  const TSS2_RC rc = connection.Run(
      [&] { return tss2.Tss2_Sys_GetCapability_Prepare(sys, capability, first, count); },
      [&] { return tss2.Tss2_Sys_GetCapability_Complete(sys, &more, &data); });
  CheckTpm("read the TPM's capabilities", rc);
  // The lists share a union; reading the wrong member overruns it.
  if (data.capability != capability) {
    throw DeviceKeyError(ErrorCode::kHardwareUnavailable,
                         "the TPM answered with another capability than it was asked for");
  }
  return data;
}

}  // namespace device_key
