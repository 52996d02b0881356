import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:https';
import path from 'node:path';

import { DeviceKeyStore } from 'node-device-key';
import { dpopFetch } from 'node-device-key/dpop';
import {
  DeviceKeyVerificationError,
  InMemoryNonceStore,
  verifyDpopProof,
} from 'node-device-key/verify';
import * as oauth from 'oauth4webapi';
import * as openid from 'openid-client';

import {
  browse,
  clientId,
  redirectUri,
  startAuthorizationServer,
} from '../../../../examples/dpop/authorization-server.mjs';
import { load } from './load.mjs';

// Node.js accepts its issuer: NODE_EXTRA_CA_CERTS.
const tls = { key: readFileSync('server.key'), cert: readFileSync('server.pem') };
const scope = 'openid offline_access';

/** A server at https://localhost that serves the requests for which `check` resolves. */
async function startResourceServer(check) {
  const server = createServer(tls, (request, response) => {
    check(request, response, origin).then(
      () => response.end('the resource'),
      (error) => {
        if (!(error instanceof DeviceKeyVerificationError)) throw error;
        const code = error.code === 'dpop_nonce_mismatch' ? 'use_dpop_nonce' : 'invalid_dpop_proof';
        response.writeHead(401, { 'WWW-Authenticate': `DPoP error="${code}"` }).end(error.code);
      },
    );
  });
  server.listen(0, 'localhost');
  await once(server, 'listening');
  const origin = `https://localhost:${server.address().port}`;
  return origin;
}

const nonces = new InMemoryNonceStore();
const tokenOf = ({ headers }) => /^DPoP (.*)/.exec(headers.authorization ?? '')?.[1];

/** Requires a proof by the key with this thumbprint, for the access token of the request. */
const boundTo = (jkt) => (request, _response, origin) => {
  const expected = { htm: request.method, htu: origin + request.url, jkt: jkt() };
  return verifyDpopProof(
    request.headers.dpop,
    { ...expected, accessToken: tokenOf(request) },
    { nonces },
  );
};

async function newKey(...origins) {
  const store = DeviceKeyStore.open();
  return { store, ...(await store.createDpopKey({ clientId, origins })) };
}

/** A code for the key, as the authorization response has it, and the PKCE verifier. */
async function authorize(issuer, jkt) {
  const verifier = oauth.generateRandomCodeVerifier();
  const parameters = new URLSearchParams({
    ...{ client_id: clientId, redirect_uri: redirectUri, response_type: 'code', scope },
    ...{ code_challenge: await oauth.calculatePKCECodeChallenge(verifier) },
    ...{ code_challenge_method: 'S256', dpop_jkt: jkt, prompt: 'consent' },
  });
  return { verifier, answer: await browse(`${issuer}/auth?${parameters}`) };
}

export default {
  async 'makes a key and a fetch that adds proofs'() {
    const api = await startResourceServer(boundTo(() => sample.jkt));
    const replace = { 'https://api.example.com': api };
    const sample = await load(1, { replace });
    const headers = { authorization: 'DPoP token-1' };
    const response = await sample.fetchWithProof(`${api}/x`, { headers });
    assert.equal(response.status, 200);
    assert.equal((await fetch(`${api}/x`, { headers })).status, 401);
  },

  async 'makes a proof for a request'() {
    const { store, keyId, jkt } = await newKey('https://as.example.com');
    const values = { nonce: 'nonce-1', accessToken: 'token-1', authorizationCode: 'code-1' };
    const { proof } = await load(2, { globals: { store, keyId, ...values } });
    const { jti } = await verifyDpopProof(
      proof,
      {
        ...{ htm: 'POST', htu: 'https://as.example.com/token', jkt },
        ...{ nonce: values.nonce, accessToken: values.accessToken },
      },
      { nonces },
    );
    assert.equal(jti, createHash('sha256').update(values.authorizationCode).digest('base64url'));
  },

  async 'oauth4webapi exchanges a code and uses the access token'() {
    const { issuer } = await startAuthorizationServer({ requireNonce: true, tls });
    const api = await startResourceServer(boundTo(() => key.jkt));
    const key = await newKey(issuer, api);
    const discovery = await oauth.discoveryRequest(new URL(issuer));
    const as = await oauth.processDiscoveryResponse(new URL(issuer), discovery);
    const client = { client_id: clientId };
    const { answer, verifier } = await authorize(issuer, key.jkt);
    const callback = oauth.validateAuthResponse(as, client, answer);
    const sample = await load(3, {
      globals: { ...key, as, client, callback, redirectUri, verifier },
      replace: { 'https://api.example.com': api },
    });
    assert.equal(sample.tokens.token_type, 'dpop');
    assert.equal(sample.answer.status, 200);
  },

  async 'openid-client gets a code that is bound to the key'() {
    const { issuer } = await startAuthorizationServer({ requireNonce: true, tls });
    const key = await newKey(issuer);
    const pkceCodeVerifier = openid.randomPKCECodeVerifier();
    const code_challenge = await openid.calculatePKCECodeChallenge(pkceCodeVerifier);
    const parameters = {
      ...{ redirect_uri: redirectUri, scope, prompt: 'consent' },
      ...{ code_challenge, code_challenge_method: 'S256' },
    };
    const { config, url } = await load(4, {
      globals: { ...key, parameters },
      replace: { 'https://as.example.com': issuer, 'my-app': clientId },
    });
    const checks = { pkceCodeVerifier };
    const tokens = await openid.authorizationCodeGrant(config, await browse(url), checks);
    assert.equal(tokens.token_type, 'dpop');

    // A thief with another key cannot use such a code.
    const thief = await newKey(issuer);
    config[openid.customFetch] = dpopFetch(thief.store, thief.keyId);
    const stolen = openid.authorizationCodeGrant(config, await browse(url), checks);
    await assert.rejects(stolen, { error: 'invalid_grant' });
  },

  async "makes a key for atproto's fetch"() {
    const api = await startResourceServer(boundTo(() => globals.jkt));
    const globals = await newKey(api);
    const { key } = await load(5, { globals });
    const require = createRequire(import.meta.url);
    // It is not exported.
    const main = require.resolve('@atproto/oauth-client');
    const { dpopFetchWrapper } = require(path.join(path.dirname(main), 'fetch-dpop.js'));
    const send = dpopFetchWrapper({ key, nonces: new Map() });
    const response = await send(`${api}/x`, { headers: { authorization: 'DPoP token-1' } });
    assert.equal(response.status, 200);
  },

  async 'verifies proofs, with nonces, on the server'() {
    const secretOf32Bytes = randomBytes(32);
    const accepted = [];
    const api = await startResourceServer(async (request, response, origin) => {
      const accessToken = tokenOf(request);
      const token = { cnf: { jkt: key.jkt } };
      const { jkt } = await load(6, {
        globals: { request, response, accessToken, token, secretOf32Bytes },
        replace: { 'https://api.example.com': origin },
      });
      accepted.push(jkt);
    });
    const [key, thief] = [await newKey(api), await newKey(api)];
    const send = async ({ store, keyId }) => {
      const headers = { authorization: 'DPoP token-1' };
      const response = await dpopFetch(store, keyId)(`${api}/x`, { headers });
      return response.text();
    };
    assert.equal(await send(key), 'the resource');
    assert.equal(await send(thief), 'dpop_key_mismatch');
    assert.deepEqual(accepted, [key.jkt]);
  },
};
