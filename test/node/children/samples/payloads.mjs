// Payloads for the samples, as a backend dictates them.
import { createHash, randomBytes } from 'node:crypto';

export const owner = { accountUserId: 'user-7f3a', clientId: 'laptop' };

export const inSeconds = (seconds) => Math.floor(Date.now() / 1000) + seconds;
export const sha256 = (text) => createHash('sha256').update(text).digest('base64url');
export const newNonce = () => randomBytes(32).toString('base64url');

// The members are in alphabetical order, as in the canonical form.

export const connection = (changes = {}) => ({
  accountUserId: owner.accountUserId,
  audience: 'remote_control_client_websocket',
  clientId: owner.clientId,
  nonce: newNonce(),
  scopes: ['remote_control_controller_websocket'],
  sessionId: 'session-1',
  targetOrigin: 'https://chatgpt.com',
  targetPath: '/wham/remote/control/client',
  tokenExpiresAt: inSeconds(600),
  tokenSha256Base64url: sha256('token of session-1'),
  type: 'remoteControlClientConnection',
  ...changes,
});

export const enrollment = (changes = {}) => ({
  accountUserId: owner.accountUserId,
  audience: 'remote_control_client_enrollment',
  challengeExpiresAt: inSeconds(600),
  challengeId: 'challenge-1',
  clientId: owner.clientId,
  deviceIdentitySha256Base64url: sha256('a device'),
  nonce: newNonce(),
  targetOrigin: 'https://chatgpt.com',
  targetPath: '/wham/remote/control/client/enroll',
  type: 'remoteControlClientEnrollment',
  ...changes,
});
