/** Why a proof or a key was refused. docs/verify.md says what each one means and what a backend should do. */
export type DeviceKeyVerificationCode =
  | 'proof_malformed'
  | 'algorithm_unsupported'
  | 'public_key_base64_invalid'
  | 'public_key_malformed'
  | 'public_key_trailing_bytes'
  | 'public_key_unsupported'
  | 'public_key_compressed'
  | 'public_key_not_on_curve'
  | 'signature_base64_invalid'
  | 'signature_malformed'
  | 'signature_out_of_range'
  | 'signature_mismatch'
  | 'signed_payload_base64_invalid'
  | 'payload_not_utf8'
  | 'payload_not_json'
  | 'payload_malformed'
  | 'payload_not_canonical'
  | 'domain_mismatch'
  | 'type_mismatch'
  | 'audience_mismatch'
  | 'nonce_mismatch'
  | 'target_origin_mismatch'
  | 'target_path_mismatch'
  | 'account_user_id_mismatch'
  | 'client_id_mismatch'
  | 'session_id_mismatch'
  | 'challenge_id_mismatch'
  | 'token_sha256_mismatch'
  | 'device_identity_sha256_mismatch'
  | 'scopes_mismatch'
  | 'expiry_mismatch'
  | 'expired'
  | 'lifetime_too_long'
  | 'nonce_replayed'
  | 'nonce_store_failed'
  | 'attestation_malformed'
  | 'attestation_magic_mismatch'
  | 'attestation_type_mismatch'
  | 'attestation_challenge_mismatch'
  | 'attestation_name_mismatch'
  | 'attestation_signature_mismatch'
  | 'attestation_key_unacceptable'
  | 'attested_key_mismatch'
  | 'attested_key_unacceptable'
  | 'endorsement_key_unacceptable'
  | 'endorsement_certificate_missing'
  | 'endorsement_certificate_mismatch'
  | 'endorsement_certificate_invalid'
  | 'endorsement_certificate_untrusted'
  | 'credential_mismatch'
  | 'attestation_unknown'
  | 'device_key_malformed'
  | 'key_already_enrolled'
  | 'client_already_enrolled'
  | 'key_not_enrolled'
  | 'key_revoked'
  | 'key_registry_failed'
  | 'dpop_proof_malformed'
  | 'dpop_header_unacceptable'
  | 'dpop_key_unacceptable'
  | 'dpop_signature_mismatch'
  | 'dpop_claims_malformed'
  | 'dpop_htm_mismatch'
  | 'dpop_htu_mismatch'
  | 'dpop_nonce_mismatch'
  | 'dpop_ath_mismatch'
  | 'dpop_key_mismatch'
  | 'dpop_iat_out_of_window'
  | 'dpop_replayed';

/**
 * Thrown (or rejected with) whenever a proof does not hold or a key registry refuses. The message names
 * the member at fault and never contains what the client sent, so it can be logged.
 */
export class DeviceKeyVerificationError extends Error {
  override readonly name = 'DeviceKeyVerificationError';

  constructor(
    readonly code: DeviceKeyVerificationCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
