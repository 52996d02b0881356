/**
 * Verification of device key proofs, for backends.
 *
 * Pure JavaScript on `node:crypto`: importing this module never loads the native addon, so it can be
 * used on servers for which no prebuilt binary exists.
 */
export { deviceIdentitySha256 } from './verify/device-identity';
export { DeviceKeyVerificationError, type DeviceKeyVerificationCode } from './verify/error';
export {
  type DeviceKeyRegistry,
  type DeviceKeyToEnroll,
  type EnrolledDeviceKey,
  type RotationChallenge,
} from './verify/key-registry';
export { InMemoryNonceStore, type NonceStore } from './verify/nonce-store';
export {
  verifyDpopProof,
  type ExpectedDpopProof,
  type VerifiedDpopProof,
  type VerifyDpopProofOptions,
} from './verify/dpop';
export { DpopServerNonces } from './verify/dpop-nonces';
export type { PostgresPool } from './verify/postgres';
export { PostgresKeyRegistry } from './verify/postgres-key-registry';
export { PostgresNonceStore } from './verify/postgres-nonce-store';
export {
  RedisNonceStore,
  type IoredisClient,
  type NodeRedisClient,
} from './verify/redis-nonce-store';
export type { SqliteDatabase, SqliteStatement } from './verify/sqlite';
export { SqliteKeyRegistry } from './verify/sqlite-key-registry';
export { SqliteNonceStore } from './verify/sqlite-nonce-store';
export {
  verifyDeviceKeyProof,
  type DeviceKeyProofDecision,
  type ExpectedConnectionProof,
  type ExpectedEnrollmentProof,
  type ExpectedProof,
  type VerifyDeviceKeyProofOptions,
} from './verify/proof';
export { verifyDeviceKeySignature, type DeviceKeySignature } from './verify/signature';
export type { DeviceKeyAttestation } from '../types/extensions';
export {
  verifyTpmKeyAttestation,
  type CheckedAttestation,
  type EndorsementTrust,
  type ExpectedDeviceKeyAttestation,
} from './verify/tpm/attestation';
export { makeTpmCredential, type TpmCredential } from './verify/tpm/credential';
export {
  InMemoryAttestationStateStore,
  TpmAttestationExchange,
  type AttestationStateStore,
  type TpmAttestationExchangeOptions,
  type TpmKeyProof,
} from './verify/tpm/exchange';
