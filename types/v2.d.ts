// Generated from types/schema/v2 by `npm run generate`. Do not edit: change the schemas.

/**
 * Which protection the caller will settle for. `hardware_only` fails where there is no usable secure hardware; `allow_os_protected_nonextractable` then falls back to the operating system's key store.
 */
export type DeviceKeyProtectionPolicy = 'hardware_only' | 'allow_os_protected_nonextractable';
/**
 * How a device key signs: ECDSA on the curve P-256 over the SHA-256 digest of the signed bytes.
 */
export type DeviceKeyAlgorithm = 'ecdsa_p256_sha256';
/**
 * What keeps the private key from leaving the machine: Apple's Secure Enclave, a TPM, or an operating system's key store that refuses to export it.
 */
export type DeviceKeyProtectionClass =
  'hardware_secure_enclave' | 'hardware_tpm' | 'os_protected_nonextractable';
/**
 * What a device key signs: one of two statements, told apart by `type`. There is no signing of arbitrary bytes.
 */
export type DeviceKeySignPayload =
  | RemoteControlClientConnectionDeviceKeySignPayload
  | RemoteControlClientEnrollmentDeviceKeySignPayload;
/**
 * Marks this kind of payload.
 */
export type RemoteControlClientConnectionDeviceKeySignPayloadType = 'remoteControlClientConnection';
/**
 * Whom a connection proof is meant for: the endpoint that accepts the WebSocket of a remote-control client.
 */
export type RemoteControlClientConnectionAudience = 'remote_control_client_websocket';
/**
 * Marks this kind of payload.
 */
export type RemoteControlClientEnrollmentDeviceKeySignPayloadType = 'remoteControlClientEnrollment';
/**
 * Whom an enrollment proof is meant for: the endpoint that enrolls the device key of a remote-control client.
 */
export type RemoteControlClientEnrollmentAudience = 'remote_control_client_enrollment';

/**
 * Parameters of `device/key/create`: makes a key and ties it to one account and one client.
 */
export interface DeviceKeyCreateParams {
  /**
   * The account that the key will sign for. Not empty.
   */
  accountUserId: string;
  /**
   * The client that the key will sign for. Not empty.
   */
  clientId: string;
  /**
   * Absent or null is `hardware_only`.
   */
  protectionPolicy?: DeviceKeyProtectionPolicy | null;
}
/**
 * Result of `device/key/create`: the new key, and what protects it.
 */
export interface DeviceKeyCreateResponse {
  /**
   * The key's id: `dk_hse_` (Secure Enclave), `dk_tpm_` (TPM) or `dk_osn_` (operating system), then 32 random bytes as 43 characters of unpadded base64url.
   */
  keyId: string;
  /**
   * The public key: DER of its SubjectPublicKeyInfo (RFC 5480), in padded Base64.
   */
  publicKeySpkiDerBase64: string;
  algorithm: DeviceKeyAlgorithm;
  protectionClass: DeviceKeyProtectionClass;
}
/**
 * Parameters of `device/key/public`: looks up the public half of a key.
 */
export interface DeviceKeyPublicParams {
  /**
   * The key's id: `dk_hse_` (Secure Enclave), `dk_tpm_` (TPM) or `dk_osn_` (operating system), then 32 random bytes as 43 characters of unpadded base64url.
   */
  keyId: string;
}
/**
 * Result of `device/key/public`: the public half of a key, and what protects the private one.
 */
export interface DeviceKeyPublicResponse {
  /**
   * The key's id: `dk_hse_` (Secure Enclave), `dk_tpm_` (TPM) or `dk_osn_` (operating system), then 32 random bytes as 43 characters of unpadded base64url.
   */
  keyId: string;
  /**
   * The public key: DER of its SubjectPublicKeyInfo (RFC 5480), in padded Base64.
   */
  publicKeySpkiDerBase64: string;
  algorithm: DeviceKeyAlgorithm;
  protectionClass: DeviceKeyProtectionClass;
}
/**
 * Parameters of `device/key/sign`: signs one statement with one key.
 */
export interface DeviceKeySignParams {
  /**
   * The key's id: `dk_hse_` (Secure Enclave), `dk_tpm_` (TPM) or `dk_osn_` (operating system), then 32 random bytes as 43 characters of unpadded base64url.
   */
  keyId: string;
  payload: DeviceKeySignPayload;
}
/**
 * Proves that the holder of the key may open one connection of a remote-control client, with one access token.
 */
export interface RemoteControlClientConnectionDeviceKeySignPayload {
  type: RemoteControlClientConnectionDeviceKeySignPayloadType;
  /**
   * Random bytes that the server chose for this proof alone: at least 32, in unpadded base64url.
   */
  nonce: string;
  audience: RemoteControlClientConnectionAudience;
  /**
   * The server's id of the session that the connection belongs to.
   */
  sessionId: string;
  /**
   * The origin that the proof is addressed to, in its canonical form, for example `https://chatgpt.com`.
   */
  targetOrigin: string;
  /**
   * The path that the proof is addressed to, exactly as requested from `targetOrigin`.
   */
  targetPath: string;
  /**
   * The account that the key was enrolled for.
   */
  accountUserId: string;
  /**
   * The client that the key was enrolled for.
   */
  clientId: string;
  /**
   * When the access token expires, in Unix seconds. The proof expires with it.
   */
  tokenExpiresAt: number;
  /**
   * SHA-256 of the access token, in unpadded base64url: ties the proof to the token without showing it.
   */
  tokenSha256Base64url: string;
  /**
   * What the token permits: exactly `remote_control_controller_websocket`.
   */
  scopes: string[];
}
/**
 * Answers the challenge by which a server enrolls a device key.
 */
export interface RemoteControlClientEnrollmentDeviceKeySignPayload {
  type: RemoteControlClientEnrollmentDeviceKeySignPayloadType;
  /**
   * Random bytes that the server chose for this proof alone: at least 32, in unpadded base64url.
   */
  nonce: string;
  audience: RemoteControlClientEnrollmentAudience;
  /**
   * The server's id of the challenge that is answered.
   */
  challengeId: string;
  /**
   * The origin that the proof is addressed to, in its canonical form, for example `https://chatgpt.com`.
   */
  targetOrigin: string;
  /**
   * The path that the proof is addressed to, exactly as requested from `targetOrigin`.
   */
  targetPath: string;
  /**
   * The account that the key was enrolled for.
   */
  accountUserId: string;
  /**
   * The client that the key was enrolled for.
   */
  clientId: string;
  /**
   * SHA-256 of the device identity being enrolled, in unpadded base64url.
   */
  deviceIdentitySha256Base64url: string;
  /**
   * When the challenge expires, in Unix seconds. The proof expires with it.
   */
  challengeExpiresAt: number;
}
/**
 * Result of `device/key/sign`: the signature, and the very bytes that it is over.
 */
export interface DeviceKeySignResponse {
  algorithm: DeviceKeyAlgorithm;
  /**
   * The signature: DER of its ECDSA-Sig-Value (RFC 3279), in padded Base64.
   */
  signatureDerBase64: string;
  /**
   * The exact bytes that were signed, in padded Base64. A verifier checks the signature over these and reads the payload from them; it never serialises the payload anew.
   */
  signedPayloadBase64: string;
}
