// The whole flow of one OAuth library against oidc-provider, with a DPoP key in the TPM. Arguments: the
// library, and the store's options as JSON. Prints one JSON document.
import { createHash, randomBytes } from 'node:crypto';

import { atprotoDpopKey, dpopFetch } from '../../../dist/dpop.mjs';
import { DeviceKeyStore } from '../../../dist/index.mjs';
import {
  browse,
  clientId,
  redirectUri,
  startAuthorizationServer,
} from '../../../examples/dpop/authorization-server.mjs';

const [library, options] = process.argv.slice(2);
const server = await startAuthorizationServer({ requireNonce: true });
const { issuer } = server;
const store = DeviceKeyStore.open(JSON.parse(options));
const { keyId, jkt } = await store.createDpopKey({ clientId, origins: [issuer] });
const scope = 'openid offline_access';

const flows = {
  async oauth4webapi() {
    const oauth = await import('oauth4webapi');
    const http = {
      [oauth.customFetch]: dpopFetch(store, keyId),
      [oauth.allowInsecureRequests]: true,
    };
    const url = new URL(issuer);
    const as = await oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, http));
    const client = { client_id: clientId };
    const verifier = oauth.generateRandomCodeVerifier();
    const authorization = new URL(as.authorization_endpoint);
    authorization.search = new URLSearchParams({
      ...{ client_id: clientId, redirect_uri: redirectUri, response_type: 'code', scope },
      ...{ code_challenge: await oauth.calculatePKCECodeChallenge(verifier) },
      ...{ code_challenge_method: 'S256', dpop_jkt: jkt, prompt: 'consent' },
    }).toString();
    const callback = oauth.validateAuthResponse(as, client, await browse(authorization));
    const grant = await oauth.authorizationCodeGrantRequest(
      ...[as, client, oauth.None(), callback, redirectUri, verifier, http],
    );
    const tokens = await oauth.processAuthorizationCodeResponse(as, client, grant);
    const answer = await oauth.userInfoRequest(as, client, tokens.access_token, http);
    const { sub } = oauth.getValidatedIdTokenClaims(tokens);
    const user = await oauth.processUserInfoResponse(as, client, sub, answer);
    const refresh = await oauth.refreshTokenGrantRequest(
      ...[as, client, oauth.None(), tokens.refresh_token, http],
    );
    const refreshed = await oauth.processRefreshTokenResponse(as, client, refresh);
    return { types: [tokens.token_type, refreshed.token_type], sub: user.sub };
  },

  async 'openid-client'() {
    const oidc = await import('openid-client');
    const config = await oidc.discovery(new URL(issuer), clientId, undefined, oidc.None(), {
      execute: [oidc.allowInsecureRequests],
      [oidc.customFetch]: dpopFetch(store, keyId),
    });
    const pkceCodeVerifier = oidc.randomPKCECodeVerifier();
    const authorization = oidc.buildAuthorizationUrl(config, {
      ...{ redirect_uri: redirectUri, scope, prompt: 'consent', dpop_jkt: jkt },
      code_challenge: await oidc.calculatePKCECodeChallenge(pkceCodeVerifier),
      code_challenge_method: 'S256',
    });
    const tokens = await oidc.authorizationCodeGrant(config, await browse(authorization), {
      pkceCodeVerifier,
    });
    const user = await oidc.fetchUserInfo(config, tokens.access_token, tokens.claims().sub);
    const refreshed = await oidc.refreshTokenGrant(config, tokens.refresh_token);
    return { types: [tokens.token_type, refreshed.token_type], sub: user.sub };
  },

  // Only the wrapper: the rest of atproto's client needs its network of servers.
  async '@atproto/oauth-client'() {
    // It is not exported.
    const file = '../../../node_modules/@atproto/oauth-client/dist/fetch-dpop.js';
    const { dpopFetchWrapper } = (await import(file)).default;
    const key = await atprotoDpopKey(store, keyId);
    const newWrapper = () => dpopFetchWrapper({ key, nonces: new Map() });
    return plainFlow(newWrapper, (token) => `DPoP ${token}`);
  },

  // A client that does not know DPoP.
  fetch: () =>
    plainFlow(
      () => dpopFetch(store, keyId),
      (token) => `Bearer ${token}`,
    ),
};

// `newFetch` is called once for each server, so that each server must request its nonce.
async function plainFlow(newFetch, authorizationOf) {
  const [send, sendToResource] = [newFetch(), newFetch()];
  const verifier = randomBytes(32).toString('base64url');
  const search = new URLSearchParams({
    ...{ client_id: clientId, redirect_uri: redirectUri, response_type: 'code', scope },
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    ...{ code_challenge_method: 'S256', dpop_jkt: jkt, prompt: 'consent' },
  });
  const callback = await browse(`${issuer}/auth?${search}`);
  const code = callback.searchParams.get('code');
  const post = async (form) => {
    const body = new URLSearchParams({ client_id: clientId, ...form });
    const response = await send(`${issuer}/token`, { method: 'POST', body });
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
    return response.json();
  };
  const tokens = await post({
    ...{ grant_type: 'authorization_code', code, redirect_uri: redirectUri },
    code_verifier: verifier,
  });
  const headers = { authorization: authorizationOf(tokens.access_token) };
  const userInfo = await sendToResource(`${issuer}/me`, { headers });
  if (!userInfo.ok) throw new Error(`${userInfo.status} ${await userInfo.text()}`);
  const refreshed = await post({
    grant_type: 'refresh_token',
    refresh_token: tokens.refresh_token,
  });
  return {
    types: [tokens.token_type, refreshed.token_type],
    sub: (await userInfo.json()).sub,
  };
}

const result = await flows[library]();
await store.close();
await server.close();
const requests = server.requests.filter(({ path }) => !/^\/(auth|interaction)/.test(path));
process.stdout.write(`\n${JSON.stringify({ ...result, requests })}`);
