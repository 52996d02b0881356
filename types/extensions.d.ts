// Generated from types/schema/extensions by `npm run generate`. Do not edit: change the schemas.

/**
 * Parameters of `device/key/activateAttestation`: has the TPM decrypt the credential that a backend has made from an attestation.
 */
export interface DeviceKeyActivateAttestationParams {
  /**
   * The key's id: `dk_hse_` (Secure Enclave), `dk_tpm_` (TPM) or `dk_osn_` (operating system), then 32 random bytes as 43 characters of unpadded base64url.
   */
  keyId: string;
  /**
   * TPM2B_ID_OBJECT, in canonical Base64 with padding.
   */
  credentialBlob: string;
  /**
   * TPM2B_ENCRYPTED_SECRET, in canonical Base64 with padding.
   */
  encryptedSecret: string;
}
/**
 * Result of `device/key/activateAttestation`: shows that the attestation key is in the TPM of the endorsement key.
 */
export interface DeviceKeyActivateAttestationResponse {
  /**
   * What the TPM has decrypted, for the backend that made the credential, in Base64 with padding.
   */
  secret: string;
}
/**
 * Parameters of `device/key/attest`: has the TPM certify, with the challenge of a backend, that a key is in it.
 */
export interface DeviceKeyAttestParams {
  /**
   * The key's id: `dk_hse_` (Secure Enclave), `dk_tpm_` (TPM) or `dk_osn_` (operating system), then 32 random bytes as 43 characters of unpadded base64url.
   */
  keyId: string;
  /**
   * The challenge of the backend: 32 to 64 random bytes in unpadded base64url.
   */
  challenge: string;
}
/**
 * Result of `device/key/attest`: TPM 2.0 structures, marshalled, for the backend that gave the challenge. It identifies the machine.
 */
export interface DeviceKeyAttestation {
  /**
   * Which structures these are.
   */
  format: 'tpm2';
  /**
   * The key's id: `dk_hse_` (Secure Enclave), `dk_tpm_` (TPM) or `dk_osn_` (operating system), then 32 random bytes as 43 characters of unpadded base64url.
   */
  keyId: string;
  /**
   * TPMS_ATTEST of TPM2_Certify, in canonical Base64 with padding.
   */
  attest: string;
  /**
   * TPMT_SIGNATURE of the attestation key over `attest`, in canonical Base64 with padding.
   */
  signature: string;
  /**
   * TPMT_PUBLIC of the device key, in canonical Base64 with padding.
   */
  keyPublicArea: string;
  /**
   * TPMT_PUBLIC of the attestation key, in canonical Base64 with padding.
   */
  attestationKeyPublicArea: string;
  /**
   * The endorsement keys of the TPM, at least one.
   */
  endorsementKeys: DeviceKeyEndorsementKey[];
}
/**
 * A key that the maker of the TPM has put into it. It identifies the machine.
 */
export interface DeviceKeyEndorsementKey {
  /**
   * TPMT_PUBLIC, in canonical Base64 with padding.
   */
  publicArea: string;
  /**
   * The certificate from the NV memory of the TPM: DER, and what pads it, in canonical Base64 with padding. Null where the TPM holds none.
   */
  certificate: string | null;
}
