// The core of the demo with the installed package, in the runtime that runs this file: a key is made, enrolled
// at a backend, connects, and is deleted. The backend refuses replayed and changed proofs. It is the package's
// own example, with node-device-key/verify, and so is the client. scripts/test-hosts.mjs copies this file beside
// node_modules. The environment names the TPM. Prints one line, or fails.
import assert from 'node:assert/strict';
import {
  createDeviceKey,
  deleteDeviceKey,
  getDeviceKeyPublic,
  listDeviceKeys,
  probeDeviceKeySupport,
  signDeviceKey,
} from 'node-device-key';
import { InMemoryNonceStore, verifyDeviceKeyProof } from 'node-device-key/verify';

import { startBackend } from './node_modules/node-device-key/examples/remote-control/backend.mjs';
import * as client from './node_modules/node-device-key/examples/remote-control/client.mjs';

let refusals = 0;
async function refused(attempt, code) {
  await assert.rejects(attempt, { code });
  refusals += 1;
}

const { providers } = await probeDeviceKeySupport();
assert.ok(providers.some(({ available }) => available));

const backend = await startBackend({ logins: { 'login-of-alice': 'user-alice' } });
const ids = { accountUserId: 'user-alice', clientId: 'laptop' };
const alice = { origin: backend.origin, login: 'login-of-alice', ...ids };

// Enrollment. The proof has the hash of the key's identity, which the backend computes again.
const challenge = await client.requestChallenge(alice);
const key = await createDeviceKey(ids);
const { keyId } = key;
assert.deepEqual(await getDeviceKeyPublic({ keyId }), key);
const thief = await createDeviceKey(ids);
const enrollment = client.enrollmentPayload(alice, challenge, key);
assert.equal(Buffer.from(enrollment.deviceIdentitySha256Base64url, 'base64url').length, 32);
const enrollmentProof = await signDeviceKey({ keyId, payload: enrollment });
const other = await client.requestChallenge(alice);
await refused(async () => {
  const payload = client.enrollmentPayload(alice, other, thief); // not the identity of `key`
  await client.submitEnrollment(alice, other, key, await signDeviceKey({ keyId, payload }));
}, 'device_identity_sha256_mismatch');
assert.equal(backend.enrolledKeys(), 0);
const session = await client.submitEnrollment(alice, challenge, key, enrollmentProof);
assert.equal(backend.enrolledKeys(), 1);
await refused(
  client.submitEnrollment(alice, challenge, key, enrollmentProof), // once more
  'unknown_challenge',
);

// Connection, over a WebSocket.
const channel = await client.openChannel(alice, session);
const connection = client.connectionPayload(alice, session, channel.challenge);
const connectionProof = await signDeviceKey({ keyId, payload: connection });
await channel.prove(connectionProof);
assert.equal(await channel.ask('hello'), 'user-alice said: hello');
channel.close();

async function connectWith(proofFor) {
  const opened = await client.openChannel(alice, session);
  await opened.prove(await proofFor(client.connectionPayload(alice, session, opened.challenge)));
}
await refused(
  connectWith(() => connectionProof),
  'nonce_mismatch',
);
await refused(
  connectWith(() => enrollmentProof),
  'type_mismatch',
);
await refused(
  connectWith((payload) => signDeviceKey({ keyId: thief.keyId, payload })),
  'signature_mismatch',
);
await refused(
  connectWith(async (payload) => {
    const proof = await signDeviceKey({ keyId, payload });
    const signed = Buffer.from(proof.signedPayloadBase64, 'base64').toString();
    const changed = signed.replace('user-alice', 'user-malice');
    return { ...proof, signedPayloadBase64: Buffer.from(changed).toString('base64') };
  }),
  'signature_mismatch',
);
await refused(
  signDeviceKey({ keyId, payload: { ...connection, clientId: 'other' } }),
  'binding_mismatch',
);

// Several at once, so that results arrive from the worker thread while the event loop is busy.
const proofs = await Promise.all(
  Array.from({ length: 8 }, () => signDeviceKey({ keyId, payload: connection })),
);
const { publicKeySpkiDerBase64 } = key;
const expected = { publicKeySpkiDerBase64, ...connection };
for (const proof of proofs) {
  const nonces = new InMemoryNonceStore();
  const verified = await verifyDeviceKeyProof(proof, expected, { nonces });
  assert.equal(verified.sessionId, connection.sessionId);
  await refused(verifyDeviceKeyProof(proof, expected, { nonces }), 'nonce_replayed');
}

assert.equal((await listDeviceKeys()).length, 2);
for (const made of [key, thief]) await deleteDeviceKey({ keyId: made.keyId });
await refused(signDeviceKey({ keyId, payload: connection }), 'key_not_found');
assert.deepEqual(await listDeviceKeys(), []);
await backend.close();
console.log(
  `enrolled, connected and deleted a key of ${key.protectionClass}; ${refusals} requests were refused`,
);
