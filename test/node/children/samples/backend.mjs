import assert from 'node:assert/strict';

import BetterSqlite3 from 'better-sqlite3';
import { createDeviceKey, deviceIdentitySha256, signDeviceKey } from 'node-device-key';
import {
  InMemoryNonceStore,
  PostgresKeyRegistry,
  SqliteKeyRegistry,
  verifyDeviceKeyProof,
} from 'node-device-key/verify';
import { Client } from 'pg';

import { load } from './load.mjs';
import { connection, enrollment, inSeconds, newNonce, owner } from './payloads.mjs';

/** The columns and indexes of the tables in a SQLite database. */
function sqliteTables(database) {
  const tables = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all();
  return tables.map(({ name }) => ({
    ...{ name, columns: database.pragma(`table_info(${name})`) },
    indexes: database
      .pragma(`index_list(${name})`)
      .map(({ name, unique, partial }) => ({
        ...{ name, unique, partial },
        columns: database.pragma(`index_info(${name})`),
      }))
      .sort((a, b) => (a.name < b.name ? -1 : 1)),
  }));
}

/** The columns and indexes that SQL makes in a new schema of the PostgreSQL database. */
async function postgresTables(schema, sql) {
  const client = new Client({ connectionString: process.env.DATABASE_URL });
  await client.connect();
  await client.query(`CREATE SCHEMA ${schema}; SET search_path TO ${schema}; ${sql}`);
  const columns = await client.query(
    `SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns
     WHERE table_schema = '${schema}' ORDER BY ordinal_position`,
  );
  const indexes = await client.query(
    `SELECT replace(indexdef, '${schema}.', '') AS index FROM pg_indexes
     WHERE schemaname = '${schema}' ORDER BY indexname`,
  );
  await client.end();
  return { columns: columns.rows, indexes: indexes.rows };
}

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

  async 'shows the table of the key registry, for PostgreSQL and SQLite'() {
    const sql = await load(2);
    const [shown, used] = [new BetterSqlite3(':memory:'), new BetterSqlite3(':memory:')];
    shown.exec(sql);
    new SqliteKeyRegistry(used);
    assert.deepEqual(sqliteTables(shown), sqliteTables(used));
    const tables = await postgresTables('shown', sql);
    assert.equal(tables.columns.length, 10);
    assert.deepEqual(tables, await postgresTables('used', PostgresKeyRegistry.schema));
  },

  async 'migrates a client to a new key, to which the old key agrees'() {
    const { migrate } = await load(3);
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
    const { onDecision, proofs } = await load(4);
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
