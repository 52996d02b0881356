// The TPM commands that device keys need, one function each. All throw what TpmConnection::Run
// throws, and TpmError for what the TPM refuses unless said otherwise. Those that load an object
// make it an orphan (orphans.h) until its handle is known.
//
// All authorizations are password sessions (TPM 2.0 Part 1, section 19.4). The authValue is no
// secret: it follows from account and client, and every signature shows it on the bus. The private
// key never crosses the bus in the clear. An HMAC session would be salted with a public key that
// was read over the same bus, so it would prove nothing against an interposer, and it would still
// sign with another client's key in our handle. The callers verify signatures and compare names
// instead.
#ifndef DEVICE_KEY_PROVIDERS_TPM2_TPM_COMMANDS_H_
#define DEVICE_KEY_PROVIDERS_TPM2_TPM_COMMANDS_H_

#include <memory>
#include <string>

#include "crypto/bytes.h"
#include "crypto/sha256.h"
#include "providers/tpm2/tpm_connection.h"

namespace device_key {

struct TpmKeyBlob {
  TPM2B_PUBLIC public_area;
  TPM2B_PRIVATE private_area;
};

// TPM2_CreatePrimary of StorageKeyTemplate in the owner hierarchy; `public_area` becomes its own.
// Throws `tpm_owner_auth_required` when the hierarchy has an authValue.
TpmHandle CreatePrimary(TpmConnection& connection, TPM2B_PUBLIC& public_area);

// TPM2_Create of `area` under `parent`. Throws `tpm_owner_auth_required` when the parent has an
// authValue. The caller checks what the TPM has made.
TpmKeyBlob CreateKey(TpmConnection& connection, TPM2_HANDLE parent, const TPM2B_PUBLIC& area,
                     const TPM2B_AUTH& auth);

// TPM2_Create of DeviceKeyTemplate under `parent`. Throws `tpm_owner_auth_required` when the parent
// has an authValue, `hardware_unavailable` when the TPM returns another kind of key than it was
// asked for.
TpmKeyBlob CreateDeviceKey(TpmConnection& connection, TPM2_HANDLE parent, const TPM2B_AUTH& auth);

// TPM2_Load; `name` is NameOf the key. Throws `tpm_owner_auth_required` when the parent has an
// authValue.
TpmHandle LoadKey(TpmConnection& connection, TPM2_HANDLE parent, const TpmKeyBlob& blob,
                  const Bytes& name);

// TPM2_ContextSave; null when the TPM refuses. A context can be loaded any number of times until
// the TPM is reset or its owner clears it (Part 1, section 30).
std::unique_ptr<TPMS_CONTEXT> SaveContext(TpmConnection& connection, TPM2_HANDLE object);

// TPM2_ContextLoad of an object with this name. Returns the TPM's code, since a context that is no
// longer good is no failure.
TSS2_RC LoadContext(TpmConnection& connection, const TPMS_CONTEXT& context, const Bytes& name,
                    TpmHandle& object);

// TPM2_ObjectChangeAuth: the private area of the loaded `key` with another authValue. It takes
// effect when that is loaded. Throws `binding_mismatch` when `old_auth` is not the key's.
TPM2B_PRIVATE ChangeAuth(TpmConnection& connection, TPM2_HANDLE key, TPM2_HANDLE parent,
                         const TPM2B_AUTH& old_auth, const TPM2B_AUTH& new_auth);

// TPM2_ReadPublic: the public area and the name of what is behind `handle`. Returns the TPM's code,
// since finding nothing there is no failure.
TSS2_RC ReadPublic(TpmConnection& connection, TPM2_HANDLE handle, TPM2B_PUBLIC& public_area,
                   Bytes& name);

// Whether the TPM says that the object behind `handle` still has this name (TPM2_ReadPublic).
bool IsStillLoaded(TpmConnection& connection, TPM2_HANDLE handle, ByteView name);

// Throws for a command that a device key's authValue authorizes: `binding_mismatch` for a wrong
// authValue, else as CheckTpm.
void CheckKeyAuthorized(const std::string& attempt, TSS2_RC rc);

// TPM2_Sign with ECDSA-SHA256, returned as DER. Throws `binding_mismatch` for a wrong authValue.
Bytes SignDigest(TpmConnection& connection, TPM2_HANDLE key, const TPM2B_AUTH& auth,
                 const Sha256Digest& digest);

// TPM2_GetCapability, one page from `first` on.
TPMS_CAPABILITY_DATA GetCapability(TpmConnection& connection, TPM2_CAP capability, uint32_t first,
                                   uint32_t count);

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_TPM2_TPM_COMMANDS_H_
