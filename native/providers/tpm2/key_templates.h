// The public areas of the keys that we make, and the check that a key is what we asked for.
#ifndef DEVICE_KEY_PROVIDERS_TPM2_KEY_TEMPLATES_H_
#define DEVICE_KEY_PROVIDERS_TPM2_KEY_TEMPLATES_H_

#include <tss2/tss2_tpm2_types.h>

#include "providers/key_provider.h"

namespace device_key {

// The ECC P-256 storage key that other software derives too (TCG TPM 2.0 Keys for Device Identity
// and "ASN.1 Specification for TPM 2.0 Key Files" section 3.1.8), so that a key below it can be
// used by them. It has noDA; the default of tpm2-tools' tpm2_createprimary has not, and yields
// another parent.
TPM2B_PUBLIC StorageKeyTemplate();

// ECDSA P-256 with SHA-256, made inside this TPM and bound to it and to its parent. noDA: without
// it every unorderly shutdown counts as a wrong authorization, and three lock the TPM out.
TPM2B_PUBLIC DeviceKeyTemplate();

// A restricted ECDSA P-256 key: it signs nothing but what the TPM itself has made (TPM 2.0 Part 1,
// section 33), so its statements about device keys can be believed. Without an authValue.
TPM2B_PUBLIC AttestationKeyTemplate();

// Whether `key` has exactly the type, scheme, curve and attributes of AttestationKeyTemplate.
bool IsAttestationKey(const TPMT_PUBLIC& key);

// The endorsement keys for which TPM makers issue certificates (TCG EK Credential Profile 2.5,
// annexes B.3 and B.4): L-1, L-2 and H-3 there.
enum class EndorsementKeyType { kRsa2048, kP256, kP384 };
TPM2B_PUBLIC EndorsementKeyTemplate(EndorsementKeyType type);

// Whether `key` is an endorsement key, by its attributes.
bool IsEndorsementKey(const TPMT_PUBLIC& key);

// Whether `key` is the primary key of StorageKeyTemplate.
bool IsDerivedStorageKey(const TPMT_PUBLIC& key);

// Whether `key` can be the parent of our keys: restricted to storage, bound to this TPM, and RSA of
// 2,048 bits or more or ECC P-256 or P-384. NameOf knows the hash that it is named by.
bool IsStorageKey(const TPMT_PUBLIC& key);

// Whether `key` has exactly the type, scheme, curve and attributes of DeviceKeyTemplate, which keep
// the private key inside the TPM, and no policy that would sign without the authValue.
bool IsDeviceKey(const TPMT_PUBLIC& key);

// `auth` as the TPM takes it. 32 bytes are the longest authValue that a key with a SHA-256 name may
// have (TPM 2.0 Part 1, section 19.6.4).
TPM2B_AUTH TpmAuth(const AuthValue& auth);

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_TPM2_KEY_TEMPLATES_H_
