// The TPM commands that only attestation needs. The rules of tpm_commands.h apply.
#ifndef DEVICE_KEY_PROVIDERS_TPM2_ATTESTATION_COMMANDS_H_
#define DEVICE_KEY_PROVIDERS_TPM2_ATTESTATION_COMMANDS_H_

#include <optional>

#include "crypto/bytes.h"
#include "providers/tpm2/key_templates.h"
#include "providers/tpm2/tpm_commands.h"

namespace device_key {

// TPM2_Create of AttestationKeyTemplate under `parent`. Throws as CreateDeviceKey does.
TpmKeyBlob CreateAttestationKey(TpmConnection& connection, TPM2_HANDLE parent);

// TPM2_CreatePrimary of EndorsementKeyTemplate. Writes the new key's public area to `public_area`.
// Throws `tpm_owner_auth_required` when the endorsement hierarchy has an authValue, and
// `attestation_unsupported` when the TPM does not support such keys.
TpmHandle CreateEndorsementKey(TpmConnection& connection, EndorsementKeyType type,
                               TPM2B_PUBLIC& public_area);

// Reads the endorsement key's certificate from the TPM's NV memory (TCG EK Credential Profile,
// section 2.2.1.4). Returns DER, possibly followed by padding, or nullopt if the TPM stores no
// certificate.
std::optional<Bytes> ReadEndorsementCertificate(TpmConnection& connection, EndorsementKeyType type);

struct CertifiedKey {
  Bytes attest;     // TPMS_ATTEST
  Bytes signature;  // TPMT_SIGNATURE
};

// TPM2_Certify: `attestation_key` certifies `key`, whose authValue is `auth`. Throws
// `binding_mismatch` for a wrong authValue.
CertifiedKey Certify(TpmConnection& connection, TPM2_HANDLE key, const TPM2B_AUTH& auth,
                     TPM2_HANDLE attestation_key, ByteView qualifying_data);

// TPM2_ActivateCredential, with the authorization that the endorsement key's template requires.
// Throws `invalid_params` when the credential was made for other keys.
Bytes ActivateCredential(TpmConnection& connection, TPM2_HANDLE attestation_key,
                         TPM2_HANDLE endorsement_key, EndorsementKeyType type,
                         const TPM2B_ID_OBJECT& credential,
                         const TPM2B_ENCRYPTED_SECRET& encrypted_secret);

}  // namespace device_key

#endif  // DEVICE_KEY_PROVIDERS_TPM2_ATTESTATION_COMMANDS_H_
