// The TPM commands for device keys, one function each. All throw what TpmConnection::Run throws,
// and TpmError for an error response unless stated otherwise. Functions that load an object record
// it as an orphan (orphans.h) until its handle is known.
//
// All authorizations are password sessions (TPM 2.0 Part 1, section 19.4). The authValue is not
// secret: it is derived from account and client, and every signature sends it over the bus in the
// clear. The private key never crosses the bus in the clear. An HMAC session would not stop an
// interposer: its salt key would be read over the same bus. The interposer could also still replace
// our handle by another client's key. Instead, the callers verify signatures and compare names.
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

// TPM2_CreatePrimary of StorageKeyTemplate in the owner hierarchy. Writes the new key's public area
// to `public_area`. Throws `tpm_owner_auth_required` when the hierarchy has an authValue.
TpmHandle CreatePrimary(TpmConnection& connection, TPM2B_PUBLIC& public_area);

// TPM2_Create of `area` under `parent`. Throws `tpm_owner_auth_required` when the parent has an
// authValue. The caller checks the returned public area.
TpmKeyBlob CreateKey(TpmConnection& connection, TPM2_HANDLE parent, const TPM2B_PUBLIC& area,
                     const TPM2B_AUTH& auth);

// TPM2_Create of DeviceKeyTemplate under `parent`. Throws `tpm_owner_auth_required` when the parent
// has an authValue, and `hardware_unavailable` when the returned key does not match the template.
TpmKeyBlob CreateDeviceKey(TpmConnection& connection, TPM2_HANDLE parent, const TPM2B_AUTH& auth);

// TPM2_Load; `name` is NameOf the key. Throws `tpm_owner_auth_required` when the parent has an
// authValue.
TpmHandle LoadKey(TpmConnection& connection, TPM2_HANDLE parent, const TpmKeyBlob& blob,
                  const Bytes& name);

// TPM2_ContextSave. Returns null if the TPM refuses. A context can be loaded repeatedly until the
// TPM is reset or its owner clears it (Part 1, section 30).
std::unique_ptr<TPMS_CONTEXT> SaveContext(TpmConnection& connection, TPM2_HANDLE object);

// TPM2_ContextLoad of an object with this name. Returns the TPM's response code, because an invalid
// context is an expected result.
TSS2_RC LoadContext(TpmConnection& connection, const TPMS_CONTEXT& context, const Bytes& name,
                    TpmHandle& object);

// TPM2_ObjectChangeAuth: returns the private area of the loaded `key` with another authValue. The
// new authValue applies once that private area is loaded. Throws `binding_mismatch` when `old_auth`
// is not the key's authValue.
TPM2B_PRIVATE ChangeAuth(TpmConnection& connection, TPM2_HANDLE key, TPM2_HANDLE parent,
                         const TPM2B_AUTH& old_auth, const TPM2B_AUTH& new_auth);

// TPM2_ReadPublic: the public area and the name of the object at `handle`. Returns the TPM's
// response code, because an empty handle is an expected result.
TSS2_RC ReadPublic(TpmConnection& connection, TPM2_HANDLE handle, TPM2B_PUBLIC& public_area,
                   Bytes& name);

// Whether the object at `handle` still has this name, according to TPM2_ReadPublic.
bool IsStillLoaded(TpmConnection& connection, TPM2_HANDLE handle, ByteView name);

// Checks the response to a command that a device key's authValue authorizes. Throws
// `binding_mismatch` for a wrong authValue, else as CheckTpm.
void CheckKeyAuthorized(const std::string& attempt, TSS2_RC rc);

// TPM2_Sign with ECDSA-SHA256, returned as DER. Throws `binding_mismatch` for a wrong authValue.
Bytes SignDigest(TpmConnection& connection, TPM2_HANDLE key, const TPM2B_AUTH& auth,
                 const Sha256Digest& digest);

// TPM2_PolicyGetDigest of a policy session. Returns the TPM's response code, because the session
// can be gone.
TSS2_RC PolicyDigest(TpmConnection& connection, TPM2_HANDLE session, Bytes& digest);

// TPM2_GetCapability: one page, starting at `first`.
TPMS_CAPABILITY_DATA GetCapability(TpmConnection& connection, TPM2_CAP capability, uint32_t first,
                                   uint32_t count);

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_TPM2_TPM_COMMANDS_H_
