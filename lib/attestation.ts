/** Remote attestation, as clients see it: what `attestDeviceKey` takes and answers. */

/** What a backend asks: prove that this key is in a TPM. */
export interface DeviceKeyAttestParams {
  keyId: string;
  /** The backend's challenge: 32 to 64 random bytes in unpadded base64url. */
  challenge: string;
}

/** What `attestDeviceKey` answers. TPM 2.0 structures, marshalled, in canonical base64 with padding. */
export interface DeviceKeyAttestation {
  format: 'tpm2';
  keyId: string;
  /** TPMS_ATTEST of TPM2_Certify. */
  attest: string;
  /** TPMT_SIGNATURE of the attestation key over `attest`. */
  signature: string;
  /** TPMT_PUBLIC of the device key. */
  keyPublicArea: string;
  /** TPMT_PUBLIC of the attestation key. */
  attestationKeyPublicArea: string;
  /** The TPM's endorsement keys, at least one. They identify the machine. */
  endorsementKeys: {
    /** TPMT_PUBLIC. */
    publicArea: string;
    /** The certificate from the TPM's NV memory: DER, and what pads it. Null where the TPM holds none. */
    certificate: string | null;
  }[];
}

/** The credential that a backend has made from an attestation. */
export interface DeviceKeyActivateAttestationParams {
  keyId: string;
  /** TPM2B_ID_OBJECT, in canonical base64 with padding. */
  credentialBlob: string;
  /** TPM2B_ENCRYPTED_SECRET, in canonical base64 with padding. */
  encryptedSecret: string;
}

export interface DeviceKeyActivateAttestationResponse {
  /** What the TPM decrypted, in base64: for the backend that made the credential. */
  secret: string;
}
