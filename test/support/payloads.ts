// Valid payloads for a key with the binding `binding`.
import { createHash, randomBytes } from 'node:crypto';

import type { DeviceKeySignPayload } from '../../dist/index.js';

type Connection = Extract<DeviceKeySignPayload, { type: 'remoteControlClientConnection' }>;
type Enrollment = Extract<DeviceKeySignPayload, { type: 'remoteControlClientEnrollment' }>;

export const binding = { accountUserId: 'user-7f3a', clientId: 'cli_42' };

export function secondsAhead(seconds: number): number {
  return Math.floor(Date.now() / 1000) + seconds;
}

export function connectionPayload(changes: Partial<Connection> = {}): Connection {
  return {
    type: 'remoteControlClientConnection',
    nonce: randomBytes(32).toString('base64url'),
    audience: 'remote_control_client_websocket',
    sessionId: 'wssess_01',
    targetOrigin: 'https://chatgpt.com',
    targetPath: '/api/codex/remote/control/client',
    ...binding,
    tokenExpiresAt: secondsAhead(600),
    tokenSha256Base64url: createHash('sha256').update('token').digest('base64url'),
    scopes: ['remote_control_controller_websocket'],
    ...changes,
  };
}

export function enrollmentPayload(changes: Partial<Enrollment> = {}): Enrollment {
  return {
    type: 'remoteControlClientEnrollment',
    nonce: randomBytes(32).toString('base64url'),
    audience: 'remote_control_client_enrollment',
    challengeId: 'rch_01',
    targetOrigin: 'https://chatgpt.com',
    targetPath: '/api/codex/remote/control/client/enroll',
    ...binding,
    deviceIdentitySha256Base64url: createHash('sha256').update('identity').digest('base64url'),
    challengeExpiresAt: secondsAhead(600),
    ...changes,
  };
}
