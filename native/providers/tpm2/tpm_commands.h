// The TPM commands that device keys need, one function each. All throw what TpmConnection::Run
// throws, and TpmError for what the TPM refuses unless said otherwise.
#ifndef DEVICE_KEY_PROVIDERS_TPM2_TPM_COMMANDS_H_
#define DEVICE_KEY_PROVIDERS_TPM2_TPM_COMMANDS_H_

#include <memory>

#include "crypto/bytes.h"
#include "crypto/secret_sharing.h"
#include "crypto/sha256.h"
#include "providers/tpm2/tpm_connection.h"

namespace device_key {

struct TpmKeyBlob {
  TPM2B_PUBLIC public_area;
  TPM2B_PRIVATE private_area;
};

// An object that is loaded.
struct LoadedObject {
  TPM2_HANDLE handle;
  const Bytes& name;
};

// A storage key that is loaded, or persistent.
struct StorageParent {
  LoadedObject object;
  const SecretSharingKey& salt_key;
};

// TPM2_CreatePrimary of StorageKeyTemplate in the owner hierarchy; `public_area` becomes its own.
// Throws `tpm_owner_auth_required` when the hierarchy has an authValue.
TpmHandle CreatePrimary(TpmConnection& connection, TPM2B_PUBLIC& public_area,
                        const OperationLimits& limits);

// TPM2_Create of DeviceKeyTemplate under `parent`, in an EncryptedSession: the authValue must not
// cross the bus in the clear. What comes back is public, or encrypted by the TPM itself. Throws
// `tpm_owner_auth_required` when the parent has an authValue, `hardware_unavailable` when what came
// back is not the key that was asked for.
TpmKeyBlob CreateDeviceKey(TpmConnection& connection, const StorageParent& parent,
                           const TPM2B_AUTH& auth, const OperationLimits& limits);

// TPM2_Load; `name` is NameOf the key. Throws `tpm_owner_auth_required` when the parent has an
// authValue.
TpmHandle LoadKey(TpmConnection& connection, TPM2_HANDLE parent, const TpmKeyBlob& blob,
                  ByteView name, const OperationLimits& limits);

// TPM2_ContextSave; null when the TPM refuses. A context can be loaded any number of times until
// the TPM is reset or its owner clears it (Part 1, section 30).
std::unique_ptr<TPMS_CONTEXT> SaveContext(TpmConnection& connection, TPM2_HANDLE object,
                                          const OperationLimits& limits);

// TPM2_ContextLoad. Returns the TPM's code, since a context that is no longer good is no failure.
TSS2_RC LoadContext(TpmConnection& connection, const TPMS_CONTEXT& context, TpmHandle& object,
                    const OperationLimits& limits);

// TPM2_ObjectChangeAuth: the private area of the loaded `key` with another authValue. Takes effect
// when that is loaded. In a session as CreateDeviceKey's. Throws `binding_mismatch` when `old_auth`
// is not the key's.
TPM2B_PRIVATE ChangeAuth(TpmConnection& connection, const LoadedObject& key,
                         const StorageParent& parent, const TPM2B_AUTH& old_auth,
                         const TPM2B_AUTH& new_auth, const OperationLimits& limits);

// TPM2_ReadPublic: the public area and the name of what is behind `handle`. Returns the TPM's code,
// since finding nothing there is no failure.
TSS2_RC ReadPublic(TpmConnection& connection, TPM2_HANDLE handle, TPM2B_PUBLIC& public_area,
                   Bytes& name, const OperationLimits& limits);

// Whether the object behind `handle` still has this name (TPM2_ReadPublic).
bool IsStillLoaded(TpmConnection& connection, TPM2_HANDLE handle, ByteView name,
                   const OperationLimits& limits);

// TPM2_Sign with ECDSA-SHA256, returned as DER. Throws `binding_mismatch` for a wrong authValue.
//
// The session is a password session: the authValue authorizes the command but nothing protects the
// response, which the caller verifies instead. An HMAC session would prove less: another client's
// key in our handle would still sign.
Bytes SignDigest(TpmConnection& connection, TPM2_HANDLE key, const TPM2B_AUTH& auth,
                 const Sha256Digest& digest, const OperationLimits& limits);

// TPM2_GetCapability, one page from `first` on.
TPMS_CAPABILITY_DATA GetCapability(TpmConnection& connection, TPM2_CAP capability, uint32_t first,
                                   uint32_t count, const OperationLimits& limits);

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_TPM2_TPM_COMMANDS_H_
