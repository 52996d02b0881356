import { createHash, createPublicKey, randomBytes, verify } from 'node:crypto';

import type {
  DeviceKeyPublicResponse,
  DeviceKeySignResponse,
  RemoteControlClientConnectionDeviceKeySignPayload,
  RemoteControlClientEnrollmentDeviceKeySignPayload,
} from '../../types/v2';

export const owner = { accountUserId: 'user-1', clientId: 'client-1' };

const soon = () => Math.floor(Date.now() / 1000) + 600;
const digest = createHash('sha256').update('a secret').digest('base64url');

/** A payload that every default rule allows, for a key of `owner`. */
export function connectionPayload(
  changes: Partial<RemoteControlClientConnectionDeviceKeySignPayload> = {},
): RemoteControlClientConnectionDeviceKeySignPayload {
  return {
    type: 'remoteControlClientConnection',
    nonce: randomBytes(32).toString('base64url'),
    audience: 'remote_control_client_websocket',
    sessionId: 'session-1',
    targetOrigin: 'https://chatgpt.com',
    targetPath: '/api/codex/remote/control/client',
    ...owner,
    tokenExpiresAt: soon(),
    tokenSha256Base64url: digest,
    scopes: ['remote_control_controller_websocket'],
    ...changes,
  };
}

/** Likewise. */
export function enrollmentPayload(
  changes: Partial<RemoteControlClientEnrollmentDeviceKeySignPayload> = {},
): RemoteControlClientEnrollmentDeviceKeySignPayload {
  return {
    type: 'remoteControlClientEnrollment',
    nonce: randomBytes(32).toString('base64url'),
    audience: 'remote_control_client_enrollment',
    challengeId: 'challenge-1',
    targetOrigin: 'https://chatgpt.com',
    targetPath: '/api/codex/remote/control/client/enroll',
    ...owner,
    deviceIdentitySha256Base64url: digest,
    challengeExpiresAt: soon(),
    ...changes,
  };
}

/** Whether node:crypto accepts the proof, over exactly the bytes that it brings. */
export function proofHolds(key: DeviceKeyPublicResponse, proof: DeviceKeySignResponse): boolean {
  const spki = Buffer.from(key.publicKeySpkiDerBase64, 'base64');
  return verify(
    'sha256',
    Buffer.from(proof.signedPayloadBase64, 'base64'),
    createPublicKey({ key: spki, format: 'der', type: 'spki' }),
    Buffer.from(proof.signatureDerBase64, 'base64'),
  );
}
