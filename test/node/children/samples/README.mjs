import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';

import {
  deviceIdentitySha256,
  InMemoryNonceStore,
  verifyDeviceKeyProof,
} from 'node-device-key/verify';

import { load } from './load.mjs';
import { inSeconds } from './payloads.mjs';

export default {
  async 'enrolls a key, as a backend sees it'() {
    const { enroll } = await load(3);
    const challenge = {
      challengeId: 'challenge-1',
      nonce: randomBytes(32).toString('base64url'),
      expiresAt: inSeconds(120),
    };
    const { key, proof } = await enroll(challenge, 'user-7f3a', 'laptop');
    const payload = await verifyDeviceKeyProof(
      proof,
      {
        publicKeySpkiDerBase64: key.publicKeySpkiDerBase64,
        type: 'remoteControlClientEnrollment',
        audience: 'remote_control_client_enrollment',
        nonce: challenge.nonce,
        challengeId: challenge.challengeId,
        targetOrigin: 'https://chatgpt.com',
        targetPath: '/api/codex/remote/control/client/enroll',
        accountUserId: 'user-7f3a',
        clientId: 'laptop',
        deviceIdentitySha256Base64url: deviceIdentitySha256(key),
      },
      { nonces: new InMemoryNonceStore() },
    );
    assert.equal(payload.challengeExpiresAt, challenge.expiresAt);
  },
};
