// What a key record keeps of a TPM key.
#ifndef DEVICE_KEY_PROVIDERS_TPM2_KEY_HANDLE_H_
#define DEVICE_KEY_PROVIDERS_TPM2_KEY_HANDLE_H_

#include <nlohmann/json.hpp>

#include "providers/tpm2/storage_parent.h"
#include "providers/tpm2/tpm_commands.h"

namespace device_key {

// A device key outside the TPM, with the storage key that wraps it.
struct LoadableKey {
  ParentReference parent;
  TpmKeyBlob blob;
};

// {"tss2PrivateKey": "-----BEGIN TSS2 PRIVATE KEY-----...", "parentName": "<base64url>"}. The PEM
// is complete by itself, so that `openssl -provider tpm2` can use it; it names the parent by a
// handle. "parentName" is the parent's TPM name (Part 1, section 16), which says what key has to be
// behind that handle.
nlohmann::json EncodeHandle(const LoadableKey& key);

// Also reads older handles, which have no "parentName". Throws `store_corrupt` for anything
// else, and for a key that lacks the attributes of DeviceKeyTemplate.
LoadableKey DecodeHandle(const nlohmann::json& handle);

// The same for the attestation key.
LoadableKey DecodeAttestationKey(const nlohmann::json& handle);

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_TPM2_KEY_HANDLE_H_
