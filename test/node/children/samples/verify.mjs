import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import path from 'node:path';
import { json } from 'node:stream/consumers';

import { createDeviceKey, signDeviceKey } from 'node-device-key';
import { InMemoryNonceStore } from 'node-device-key/verify';

import { load } from './load.mjs';
import { connection, inSeconds, newNonce, owner, sha256 } from './payloads.mjs';

/** A stand-in for Express, which is not installed: `post`, `status`, `json` and parsed bodies. */
function standInForExpress() {
  const handlers = new Map();
  const server = createServer(async (request, response) => {
    response.status = (code) => Object.assign(response, { statusCode: code });
    response.json = (body) => response.end(JSON.stringify(body));
    request.body = await json(request);
    try {
      await handlers.get(request.url)(request, response);
    } catch {
      response.status(500).end();
    }
  });
  return { server, post: (route, handler) => handlers.set(route, handler) };
}

export default {
  async 'answers requests with proofs'() {
    const app = standInForExpress();
    const key = await createDeviceKey(owner);
    const session = {
      ...owner,
      id: 'session-1',
      nonce: newNonce(),
      token: 'token of session-1',
      tokenExpiresAt: inSeconds(600),
    };
    const memory = new InMemoryNonceStore();
    let storeIsReachable = true;
    const warnings = [];
    await load(1, {
      globals: {
        app,
        sessions: { ofRequest: () => Promise.resolve(session) },
        devices: { enrolledBy: () => Promise.resolve(key) },
        log: { warn: ({ code }) => warnings.push(code) },
        nonces: {
          consume: (...nonce) =>
            storeIsReachable ? memory.consume(...nonce) : Promise.reject(new Error('no route')),
        },
      },
    });
    app.server.listen(0, '127.0.0.1');
    await once(app.server, 'listening');
    const url = `http://127.0.0.1:${app.server.address().port}/wham/remote/control/client/proof`;
    const post = (proof) => fetch(url, { method: 'POST', body: JSON.stringify({ proof }) });

    const sign = (changes) => {
      const { id: sessionId, nonce, token, tokenExpiresAt } = session;
      const values = { sessionId, nonce, tokenExpiresAt, tokenSha256Base64url: sha256(token) };
      return signDeviceKey({ keyId: key.keyId, payload: connection({ ...values, ...changes }) });
    };
    const proof = await sign();
    storeIsReachable = false;
    assert.equal((await post(proof)).status, 503);
    storeIsReachable = true;
    const accepted = await post(proof);
    assert.deepEqual([accepted.status, await accepted.json()], [200, { sessionId: 'session-1' }]);
    assert.equal((await post(proof)).status, 401);
    assert.equal((await post(await sign({ sessionId: 'session-2' }))).status, 401);
    const codes = ['nonce_store_failed', 'nonce_replayed', 'session_id_mismatch'];
    assert.deepEqual(warnings, codes);
  },

  async 'opens nonce stores in Redis, PostgreSQL and SQLite'() {
    const file = path.resolve('nonces.db');
    const replace = { '/var/lib/backend/nonces.db': file };
    // Before Node.js 22.5, the alternative that the sample names.
    if (!process.getBuiltinModule?.('node:sqlite')) {
      replace["{ DatabaseSync } from 'node:sqlite'"] = "DatabaseSync from 'better-sqlite3'";
    }
    const { inRedis, inPostgres, inSqlite } = await load(3, { replace });
    const nonce = newNonce();
    for (const store of [inRedis, inPostgres, inSqlite]) {
      assert.equal(await store.consume(nonce, inSeconds(60)), true);
      assert.equal(await store.consume(nonce, inSeconds(60)), false);
    }
  },
};
