// The payload that the contenders sign.
import { createHash, randomBytes } from 'node:crypto';

export const owner = { accountUserId: 'account', clientId: 'client' };

/** A valid payload. */
export function payload() {
  return {
    type: 'remoteControlClientConnection',
    nonce: randomBytes(32).toString('base64url'),
    audience: 'remote_control_client_websocket',
    sessionId: 'session',
    targetOrigin: 'https://chatgpt.com',
    targetPath: '/api/codex/remote/control/client',
    ...owner,
    tokenExpiresAt: Math.floor(Date.now() / 1000) + 600,
    tokenSha256Base64url: createHash('sha256').update('token').digest('base64url'),
    scopes: ['remote_control_controller_websocket'],
  };
}
