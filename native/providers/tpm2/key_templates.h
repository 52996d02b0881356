// The public areas of the keys that we make, and checks of the public areas that a TPM returns.
#ifndef DEVICE_KEY_PROVIDERS_TPM2_KEY_TEMPLATES_H_
#define DEVICE_KEY_PROVIDERS_TPM2_KEY_TEMPLATES_H_

#include <tss2/tss2_tpm2_types.h>

#include "providers/key_provider.h"

namespace device_key {

// The ECC P-256 storage key that other software also derives (TCG TPM 2.0 Keys for Device Identity
// and "ASN.1 Specification for TPM 2.0 Key Files" section 3.1.8), so that other software can load
// the keys below it. noDA is set here, unlike in the default of tpm2-tools' tpm2_createprimary,
// which therefore yields another parent.
TPM2B_PUBLIC StorageKeyTemplate();

// ECDSA P-256 with SHA-256, made inside this TPM, fixedTPM and fixedParent. noDA is set because
// otherwise every unorderly shutdown counts as a wrong authorization, and three of them lock the
// TPM out.
TPM2B_PUBLIC DeviceKeyTemplate();

// A restricted ECDSA P-256 key: it signs only data that the TPM itself generated (TPM 2.0 Part 1,
// section 33), so a verifier can trust its statements about device keys. It has an empty authValue.
TPM2B_PUBLIC AttestationKeyTemplate();

// Whether `key` has exactly the type, scheme, curve and attributes of AttestationKeyTemplate.
bool IsAttestationKey(const TPMT_PUBLIC& key);

// The endorsement keys for which TPM makers issue certificates: templates L-1, L-2 and H-3 of the
// TCG EK Credential Profile 2.5, annexes B.3 and B.4.
enum class EndorsementKeyType { kRsa2048, kP256, kP384 };
TPM2B_PUBLIC EndorsementKeyTemplate(EndorsementKeyType type);

// Whether a policy session with this digest may be about to authorize an endorsement key of
// template L: the session is new, or has its PolicySecret.
bool IsEndorsementPolicy(ByteView digest);

// Whether `key` has the attributes of an endorsement key.
bool IsEndorsementKey(const TPMT_PUBLIC& key);

// Whether `key` has the public area of StorageKeyTemplate.
bool IsDerivedStorageKey(const TPMT_PUBLIC& key);

// Whether `key` can be the parent of our keys: restricted, decrypt, fixedTPM, and either RSA of
// 2,048 bits or more or ECC P-256 or P-384. NameOf supports its name algorithm.
bool IsStorageKey(const TPMT_PUBLIC& key);

// Whether `key` has exactly the type, scheme, curve and attributes of DeviceKeyTemplate, which keep
// the private key inside the TPM, and no policy, which could authorize signing without the
// authValue.
bool IsDeviceKey(const TPMT_PUBLIC& key);

// `auth` as a TPM2B_AUTH. The authValue of a key whose name algorithm is SHA-256 has at most 32
// bytes (TPM 2.0 Part 1, section 19.6.4).
TPM2B_AUTH TpmAuth(const AuthValue& auth);

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_TPM2_KEY_TEMPLATES_H_
