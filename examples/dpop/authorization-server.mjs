// @ts-check
/**
 * An authorization server on loopback, with its own resource (userinfo): oidc-provider, which binds
 * the tokens of its one client to a key (RFC 9449). The user is logged in and consents
 * automatically.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';

export const clientId = 'cli_42';
export const redirectUri = 'http://127.0.0.1/callback';

/**
 * @param {{ requireNonce?: boolean, tls?: import('node:https').ServerOptions }} [options]
 *   whether each proof must have the server's nonce; the key and certificate of an https server at
 *   localhost, instead of http
 * @returns {Promise<{ issuer: string, requests: Request[], close(): Promise<void> }>}
 *
 * @typedef {{ method: string, path: string, status: number, proof: boolean }} Request
 */
export async function startAuthorizationServer({ requireNonce = false, tls } = {}) {
  // Not a static import: it is a development dependency.
  const { default: Provider } = await quietly(() => import('oidc-provider'));
  const server = tls ? createTlsServer(tls) : createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  const issuer = tls ? `https://localhost:${port}` : `http://127.0.0.1:${port}`;

  const configuration = {
    clients: [
      {
        client_id: clientId,
        application_type: 'native',
        token_endpoint_auth_method: 'none',
        redirect_uris: [redirectUri],
        grant_types: ['authorization_code', 'refresh_token'],
        dpop_bound_access_tokens: true,
      },
    ],
    cookies: { keys: [randomBytes(32).toString('hex')] },
    features: {
      devInteractions: { enabled: false },
      dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => requireNonce },
    },
    findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
    interactions: { url: (_, { uid }) => `/interaction/${uid}` },
    issueRefreshToken: () => true,
    rotateRefreshToken: false,
    ttl: {
      ...{ AccessToken: 600, AuthorizationCode: 60, Grant: 3600, IdToken: 600, Interaction: 600 },
      ...{ RefreshToken: 3600, Session: 3600 },
    },
  };
  const provider = await quietly(async () => new Provider(issuer, configuration));

  const requests = /** @type {Request[]} */ ([]);
  const serve = provider.callback();
  server.on('request', (request, response) => {
    const { method = '', url = '' } = request;
    response.on('finish', () => {
      const path = url.replace(/\?.*/, '');
      const proof = request.headers.dpop !== undefined;
      requests.push({ method, path, status: response.statusCode, proof });
    });
    if (!url.startsWith('/interaction/')) return void serve(request, response);
    void agree(provider, request, response);
  });
  return {
    issuer,
    requests,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/**
 * Suppresses oidc-provider's messages about settings that are for development.
 *
 * @template T
 * @param {() => Promise<T>} work
 */
async function quietly(work) {
  const { info, warn } = console;
  console.info = console.warn = () => undefined;
  try {
    return await work();
  } finally {
    Object.assign(console, { info, warn });
  }
}

/**
 * The user's actions on two pages.
 *
 * @param {any} provider
 * @param {import('node:http').IncomingMessage} request
 * @param {import('node:http').ServerResponse} response
 */
async function agree(provider, request, response) {
  const { prompt, params, session } = await provider.interactionDetails(request, response);
  if (prompt.name === 'login') {
    const result = { login: { accountId: 'user-1' } };
    return provider.interactionFinished(request, response, result);
  }
  const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  grant.addOIDCScope(params.scope);
  const result = { consent: { grantId: await grant.save() } };
  return provider.interactionFinished(request, response, result);
}

/**
 * The actions of the user's browser: follows the redirects to the client, with cookies.
 *
 * @param {string | URL} authorizationUrl
 * @returns {Promise<URL>} the redirect URI with the result
 */
export async function browse(authorizationUrl) {
  const cookies = new Map();
  let url = new URL(authorizationUrl);
  for (let hops = 0; hops < 10; hops++) {
    const cookie = Array.from(cookies, ([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(url, { redirect: 'manual', headers: { cookie } });
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      cookies.set(name, value);
    }
    const location = response.headers.get('location');
    if (!location) throw new Error(`${response.status} ${await response.text()}`);
    url = new URL(location, url);
    if (url.href.startsWith(redirectUri)) return url;
  }
  throw new Error('too many redirects');
}
