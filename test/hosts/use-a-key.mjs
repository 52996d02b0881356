// The life of a key with the installed package, in the runtime that runs this file: enroll, sign,
// verify, delete. scripts/test-hosts.mjs copies it into the installation. The environment names the
// TPM. Prints one line, or fails.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import {
  createDeviceKey,
  deleteDeviceKey,
  getDeviceKeyPublic,
  listDeviceKeys,
  probeDeviceKeySupport,
  signDeviceKey,
} from 'node-device-key';
import { InMemoryNonceStore, verifyDeviceKeyProof } from 'node-device-key/verify';

const { providers } = await probeDeviceKeySupport();
assert.ok(providers.some(({ available }) => available));

const account = { accountUserId: 'user-alice', clientId: 'laptop' };
const key = await createDeviceKey(account);
assert.deepEqual(await getDeviceKeyPublic({ keyId: key.keyId }), key);

const payload = {
  type: 'remoteControlClientConnection',
  audience: 'remote_control_client_websocket',
  nonce: randomBytes(32).toString('base64url'),
  sessionId: 'session-1',
  targetOrigin: 'https://chatgpt.com',
  targetPath: '/api/codex/remote/control/client',
  ...account,
  tokenExpiresAt: Math.floor(Date.now() / 1000) + 120,
  tokenSha256Base64url: randomBytes(32).toString('base64url'),
  scopes: ['remote_control_controller_websocket'],
};
// Several at once, so that results arrive from the worker thread while the event loop is busy.
const proofs = await Promise.all(
  Array.from({ length: 8 }, () => signDeviceKey({ keyId: key.keyId, payload })),
);
for (const proof of proofs) {
  const { publicKeySpkiDerBase64 } = key;
  const verified = await verifyDeviceKeyProof(
    proof,
    { publicKeySpkiDerBase64, ...payload },
    { nonces: new InMemoryNonceStore() },
  );
  assert.equal(verified.sessionId, 'session-1');
}

await assert.rejects(
  signDeviceKey({ keyId: key.keyId, payload: { ...payload, clientId: 'other' } }),
  {
    name: 'DeviceKeyError',
    code: 'binding_mismatch',
  },
);
assert.equal((await listDeviceKeys()).length, 1);
await deleteDeviceKey({ keyId: key.keyId });
await assert.rejects(getDeviceKeyPublic({ keyId: key.keyId }), { code: 'key_not_found' });
console.log(`used a key of ${key.protectionClass}`);
