// The part of a key record that describes a TPM key.
#ifndef DEVICE_KEY_PROVIDERS_TPM2_KEY_HANDLE_H_
#define DEVICE_KEY_PROVIDERS_TPM2_KEY_HANDLE_H_

#include <nlohmann/json.hpp>

#include "providers/tpm2/storage_parent.h"
#include "providers/tpm2/tpm_commands.h"

namespace device_key {

// A device key as stored outside the TPM, and a reference to the storage key that wraps it.
struct LoadableKey {
  ParentReference parent;
  TpmKeyBlob blob;
};

// {"tss2PrivateKey": "-----BEGIN TSS2 PRIVATE KEY-----...", "parentName": "<base64url>"}. The PEM
// text alone is enough for `openssl -provider tpm2`; it refers to the parent by handle.
// "parentName" is the parent's TPM name (Part 1, section 16). It identifies the key that must be at
// that handle.
nlohmann::json EncodeHandle(const LoadableKey& key);

// Also reads older handles, which have no "parentName". Throws `store_corrupt` for any other text,
// and for a key without the attributes of DeviceKeyTemplate.
LoadableKey DecodeHandle(const nlohmann::json& handle);

// The same for the attestation key.
LoadableKey DecodeAttestationKey(const nlohmann::json& handle);

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_TPM2_KEY_HANDLE_H_
