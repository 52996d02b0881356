import assert from 'node:assert/strict';

import BetterSqlite3 from 'better-sqlite3';
import { createDeviceKey, deviceIdentitySha256, signDeviceKey } from 'node-device-key';
import {
  InMemoryNonceStore,
  SqliteKeyRegistry,
  verifyDeviceKeyProof,
} from 'node-device-key/verify';

import { load } from './load.mjs';
import { connection, enrollment, inSeconds, newNonce, owner } from './payloads.mjs';

export default {
  async 'opens the key registry and the nonce store in PostgreSQL, at each start'() {
    const { openStores } = await load(1);
    const key = await createDeviceKey(owner);
    const first = await openStores();
    await first.registry.enroll({ ...owner, key });
    const nonce = newNonce();
    assert.equal(await first.nonces.consume(nonce, inSeconds(60)), true);
    const second = await openStores();
    assert.equal((await second.registry.inForce(owner)).keyId, key.keyId);
    assert.equal(await second.nonces.consume(nonce, inSeconds(60)), false);
  },

  async 'migrates a client to a new key, to which the old key agrees'() {
    const { migrate } = await load(2);
    const stores = {
      registry: new SqliteKeyRegistry(new BetterSqlite3(':memory:')),
      nonces: new InMemoryNonceStore(),
    };
    const [oldKey, key] = [await createDeviceKey(owner), await createDeviceKey(owner)];
    await stores.registry.enroll({ ...owner, key: oldKey });
    const statement = () =>
      enrollment({ deviceIdentitySha256Base64url: deviceIdentitySha256(key) });
    const [challenge, oldChallenge] = [statement(), statement()];
    const proof = await signDeviceKey({ keyId: key.keyId, payload: challenge });
    const oldProof = await signDeviceKey({ keyId: oldKey.keyId, payload: oldChallenge });
    const request = { client: owner, key, challenge, oldChallenge };

    const notAgreed = migrate({ ...request, proof, oldProof: proof }, stores);
    await assert.rejects(notAgreed, { code: 'signature_mismatch' });
    // The refused request has used the nonce of the new key.
    const next = { ...challenge, nonce: newNonce() };
    const nextProof = await signDeviceKey({ keyId: key.keyId, payload: next });
    await migrate({ ...request, challenge: next, proof: nextProof, oldProof }, stores);
    assert.equal((await stores.registry.inForce(owner)).keyId, key.keyId);
  },

  async 'counts the decisions by type and code'() {
    const { onDecision, proofs } = await load(3);
    const { keyId, publicKeySpkiDerBase64 } = await createDeviceKey(owner);
    const payload = connection();
    const proof = await signDeviceKey({ keyId, payload });
    const options = { nonces: new InMemoryNonceStore(), onDecision };
    const verify = () =>
      verifyDeviceKeyProof(proof, { publicKeySpkiDerBase64, ...payload }, options);
    await verify();
    await assert.rejects(verify);
    await assert.rejects(verify);
    assert.deepEqual(Object.fromEntries(proofs), {
      'remoteControlClientConnection accepted': 1,
      'remoteControlClientConnection nonce_replayed': 2,
    });
  },
};
