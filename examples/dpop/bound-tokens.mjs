// @ts-check
/** OAuth tokens that are bound to a key in the TPM, and a thief who has the tokens. */
import { createHash, randomBytes } from 'node:crypto';
import { DeviceKeyStore } from 'node-device-key';
import { dpopFetch } from 'node-device-key/dpop';
import { check } from '../remote-control/report.mjs';
import {
  browse,
  clientId,
  redirectUri,
  startAuthorizationServer,
} from './authorization-server.mjs';

/**
 * @param {{ report: import('../remote-control/report.mjs').Report,
 *           storeOptions: import('node-device-key').DeviceKeyStoreOptions,
 *           onStore: (store: DeviceKeyStore) => void }} options
 */
export async function boundTokens({ report, storeOptions, onStore }) {
  const store = DeviceKeyStore.open(storeOptions);
  onStore(store);

  report.section('Tokens are bound to a key');
  const server = await report.step(
    'an authorization server starts (oidc-provider)',
    () => startAuthorizationServer({ requireNonce: true }),
    ({ issuer }) => issuer,
  );
  const { issuer } = server;
  const origins = [issuer];
  const key = await report.step(
    'DPoP key made in the TPM',
    () => store.createDpopKey({ clientId, origins }),
    ({ jkt }) => `thumbprint ${jkt}`,
  );
  const send = dpopFetch(store, key.keyId);
  const { code, verifier } = await report.step(
    'the user logs in; the code is bound to the key',
    () => authorize(issuer, key.jkt),
    () => 'PKCE and dpop_jkt',
  );
  const tokens = await report.step(
    'the code is exchanged for tokens',
    () => granted(exchange(send, issuer, code, verifier)),
    ({ token_type }) => `token_type ${token_type}, after one nonce challenge`,
  );
  await report.step(
    'the access token opens the resource',
    () => granted(userInfo(send, issuer, tokens.access_token)),
    ({ sub }) => `the user is ${sub}`,
  );
  await report.step(
    'the refresh token gives another access token',
    () => granted(refresh(send, issuer, tokens.refresh_token)),
    ({ token_type }) => `token_type ${token_type}`,
  );

  report.section('A thief has the tokens and another key');
  const thief = await store.createDpopKey({ clientId, origins });
  const steal = dpopFetch(store, thief.keyId);
  await report.step(
    "the access token with a proof by the thief's key",
    () => refused(userInfo(steal, issuer, tokens.access_token)),
    (error) => `refused: ${error}`,
  );
  await report.step(
    'the access token without a proof',
    () => refused(userInfo(fetch, issuer, tokens.access_token)),
    (error) => `refused: ${error}`,
  );
  await report.step(
    "the refresh token with a proof by the thief's key",
    () => refused(refresh(steal, issuer, tokens.refresh_token)),
    (error) => `refused: ${error}`,
  );
  const stolen = await authorize(issuer, key.jkt);
  await report.step(
    "a code and its PKCE verifier with a proof by the thief's key",
    () => refused(exchange(steal, issuer, stolen.code, stolen.verifier)),
    (error) => `refused: ${error}`,
  );

  await report.step(
    'the keys are deleted',
    async () => {
      for (const { keyId } of [key, thief]) await store.delete({ keyId });
      await Promise.all([store.close(), server.close()]);
    },
    () => 'the tokens can no longer be used',
  );
}

/** @typedef {(url: string, init?: RequestInit) => Promise<Response>} Send */

/** @param {string} issuer @param {string} jkt */
async function authorize(issuer, jkt) {
  const verifier = randomBytes(32).toString('base64url');
  const search = new URLSearchParams({
    ...{ client_id: clientId, redirect_uri: redirectUri, response_type: 'code' },
    ...{ scope: 'openid offline_access', prompt: 'consent', dpop_jkt: jkt },
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  });
  const answer = await browse(`${issuer}/auth?${search}`);
  const code = answer.searchParams.get('code');
  check(code, `no code: ${answer.search}`);
  return { code: String(code), verifier };
}

/** @param {Send} send @param {string} issuer @param {string} code @param {string} verifier */
function exchange(send, issuer, code, verifier) {
  return post(send, issuer, {
    ...{ grant_type: 'authorization_code', code, redirect_uri: redirectUri },
    code_verifier: verifier,
  });
}

/** @param {Send} send @param {string} issuer @param {string} token */
function refresh(send, issuer, token) {
  return post(send, issuer, { grant_type: 'refresh_token', refresh_token: token });
}

/** @param {Send} send @param {string} issuer @param {Record<string, string>} form */
function post(send, issuer, form) {
  const body = new URLSearchParams({ client_id: clientId, ...form });
  return send(`${issuer}/token`, { method: 'POST', body });
}

/** @param {Send} send @param {string} issuer @param {string} token */
function userInfo(send, issuer, token) {
  return send(`${issuer}/me`, { headers: { authorization: `DPoP ${token}` } });
}

/** @param {Promise<Response>} request */
async function granted(request) {
  const response = await request;
  const body = await response.json();
  check(response.ok, `${response.status} ${JSON.stringify(body)}`);
  return body;
}

/** @param {Promise<Response>} request */
async function refused(request) {
  const response = await request;
  check(response.status === 400 || response.status === 401, `answered ${response.status}`);
  const { error } = await response.json();
  return `${response.status} ${error}`;
}
