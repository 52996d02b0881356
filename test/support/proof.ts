// Independent checks of signatures: nothing here uses the code under test.
import { createPublicKey, verify, type KeyObject } from 'node:crypto';

import type { DeviceKeySignPayload, DeviceKeySignResponse } from '../../dist/index.js';

export function publicKeyOf(spkiDerBase64: string): KeyObject {
  return createPublicKey({
    key: Buffer.from(spkiDerBase64, 'base64'),
    format: 'der',
    type: 'spki',
  });
}

export function verifies(spkiDerBase64: string, proof: DeviceKeySignResponse): boolean {
  return verify(
    'sha256',
    Buffer.from(proof.signedPayloadBase64, 'base64'),
    publicKeyOf(spkiDerBase64),
    Buffer.from(proof.signatureDerBase64, 'base64'),
  );
}

// The bytes that the protocol signs, written member by member. JSON.stringify writes strings as the
// protocol does, unless they have lone surrogates.
export function expectedSignedText(payload: DeviceKeySignPayload): string {
  const members =
    payload.type === 'remoteControlClientConnection'
      ? ([
          'accountUserId',
          'audience',
          'clientId',
          'nonce',
          'scopes',
          'sessionId',
          'targetOrigin',
          'targetPath',
          'tokenExpiresAt',
          'tokenSha256Base64url',
          'type',
        ] as const)
      : ([
          'accountUserId',
          'audience',
          'challengeExpiresAt',
          'challengeId',
          'clientId',
          'deviceIdentitySha256Base64url',
          'nonce',
          'targetOrigin',
          'targetPath',
          'type',
        ] as const);
  const written = members.map(
    (member) =>
      `${JSON.stringify(member)}:${JSON.stringify((payload as unknown as Record<string, unknown>)[member])}`,
  );
  return `{"domain":"codex-device-key-sign-payload/v1","payload":{${written.join(',')}}}`;
}

export function signedText(proof: DeviceKeySignResponse): string {
  return Buffer.from(proof.signedPayloadBase64, 'base64').toString('utf8');
}
