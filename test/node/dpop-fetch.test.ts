// dpopFetch and the adapters, against a server that verifies each proof.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { atprotoDpopKey, dpopFetch, mcpDpopSession } from '../../dist/dpop.js';
import type { DpopKey } from '../../dist/index.js';
import { createInMemoryDeviceKeyStore } from '../../dist/testing.js';
import {
  DeviceKeyVerificationError,
  InMemoryNonceStore,
  verifyDpopProof,
} from '../../dist/verify.js';
import { outcome } from '../support/outcome';

/** A request that the server received: the result of verifyDpopProof, or null without a proof. */
interface Seen {
  path: string;
  authorization: string | undefined;
  proof: string | null;
}

class DpopServer {
  readonly seen: Seen[] = [];
  origin = '';
  /** The nonce that proofs must have; undefined: none. */
  nonce: string | undefined;
  respond: (request: IncomingMessage, response: ServerResponse) => void = (_, response) =>
    response.end('ok');
  private readonly nonces = new InMemoryNonceStore();
  private readonly server: Server = createServer((request, response) => {
    void this.serve(request, response);
  });

  static async start(): Promise<DpopServer> {
    const server = new DpopServer();
    server.server.listen(0, '127.0.0.1');
    await once(server.server, 'listening');
    server.origin = `http://127.0.0.1:${(server.server.address() as AddressInfo).port}`;
    return server;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { url = '', method = '' } = request;
    const { authorization, dpop } = request.headers;
    const accessToken = /^DPoP (.*)/.exec(authorization ?? '')?.[1];
    const proof = dpop === undefined ? null : await this.verdict(dpop, method, url, accessToken);
    this.seen.push({ path: url, authorization, proof });
    if (this.nonce !== undefined) response.setHeader('DPoP-Nonce', this.nonce);
    if (proof !== 'dpop_nonce_mismatch') {
      this.respond(request, response);
      return;
    }
    if (accessToken !== undefined) {
      const challenge = 'Bearer, DPoP algs="ES256", error="use_dpop_nonce"';
      response.writeHead(401, { 'WWW-Authenticate': challenge }).end();
    } else {
      response.writeHead(400, { 'Content-Type': 'application/json' });
      response.end('{"error":"use_dpop_nonce"}');
    }
  }

  private async verdict(
    proof: string | string[],
    htm: string,
    url: string,
    accessToken: string | undefined,
  ): Promise<string> {
    const wanted = { htm, htu: this.origin + url, nonce: this.nonce };
    const bound = accessToken === undefined ? {} : { accessToken, jkt: key.jkt };
    try {
      await verifyDpopProof(String(proof), { ...wanted, ...bound }, { nonces: this.nonces });
      return 'verified';
    } catch (error) {
      if (error instanceof DeviceKeyVerificationError) return error.code;
      throw error;
    }
  }
}

const store = createInMemoryDeviceKeyStore({ protectionClass: 'hardware_tpm' });
let server: DpopServer;
let other: DpopServer;
let key: DpopKey;
let send: ReturnType<typeof dpopFetch>;

beforeEach(async () => {
  [server, other] = await Promise.all([DpopServer.start(), DpopServer.start()]);
  key = await store.createDpopKey({ clientId: 'app', origins: [server.origin, other.origin] });
  send = dpopFetch(store, key.keyId);
});
afterEach(() => Promise.all([server.stop(), other.stop()]));
afterAll(() => store.close());

const post = { method: 'POST', body: 'grant_type=refresh_token' };
const withToken = { headers: { Authorization: 'DPoP token-1' } };
const proofs = (of = server) => of.seen.map(({ proof }) => proof);

describe('dpopFetch', () => {
  test('adds a valid proof, also for a URL with a query', async () => {
    const response = await send(`${server.origin}/token?x=1#y`, post);
    expect(await response.text()).toBe('ok');
    expect(server.seen).toEqual([
      { path: '/token?x=1', authorization: undefined, proof: 'verified' },
    ]);
  });

  test('binds the proof to the access token', async () => {
    await send(`${server.origin}/me`, withToken);
    expect(server.seen).toEqual([
      { path: '/me', authorization: 'DPoP token-1', proof: 'verified' },
    ]);
  });

  test('sends a token as DPoP if the caller wrote Bearer, and other credentials unchanged', async () => {
    await send(`${server.origin}/me`, { headers: { authorization: 'bearer token-1' } });
    await send(`${server.origin}/token`, { ...post, headers: { authorization: 'Basic YTpi' } });
    expect(server.seen.map(({ authorization }) => authorization)).toEqual([
      'DPoP token-1',
      'Basic YTpi',
    ]);
    expect(proofs()).toEqual(['verified', 'verified']);
  });

  test('accepts a URL and a Request', async () => {
    await send(new URL(`${server.origin}/me`), withToken);
    await send(new Request(`${server.origin}/me`, { ...withToken, method: 'DELETE' }));
    await send(new Request(`${server.origin}/token`, post));
    expect(proofs()).toEqual(['verified', 'verified', 'verified']);
  });

  test('adds no proof to a GET without a token, and does not use the key', async () => {
    const never = { signDpop: () => Promise.reject(new Error('asked')) };
    await dpopFetch(never, 'no-key')(`${server.origin}/.well-known/openid-configuration`);
    expect(proofs()).toEqual([null]);
  });

  test('replaces a proof of the caller', async () => {
    await send(`${server.origin}/me`, { headers: { ...withToken.headers, DPoP: 'stale' } });
    expect(proofs()).toEqual(['verified']);
  });

  test.each([
    ['a token endpoint (400)', post],
    ['a resource (401)', withToken],
  ])('answers the challenge of %s once, and keeps the nonce', async (_, init) => {
    server.nonce = 'nonce-1';
    expect((await send(`${server.origin}/x`, init)).status).toBe(200);
    expect((await send(`${server.origin}/x`, init)).status).toBe(200);
    expect(proofs()).toEqual(['dpop_nonce_mismatch', 'verified', 'verified']);
  });

  test('uses the nonce of a successful response', async () => {
    server.respond = (_, response) => {
      server.nonce = 'nonce-2';
      response.setHeader('DPoP-Nonce', 'nonce-2').end();
    };
    await send(`${server.origin}/x`, post);
    await send(`${server.origin}/x`, post);
    expect(proofs()).toEqual(['verified', 'verified']);
  });

  test('keeps a nonce for each origin', async () => {
    [server.nonce, other.nonce] = ['nonce-1', 'nonce-2'];
    for (let i = 0; i < 2; i++) {
      await send(`${server.origin}/x`, post);
      await send(`${other.origin}/x`, post);
    }
    const expected = ['dpop_nonce_mismatch', 'verified', 'verified'];
    expect([proofs(), proofs(other)]).toEqual([expected, expected]);
  });

  test('repeats a request at most once', async () => {
    let count = 0;
    server.respond = (_, response) => {
      response.setHeader('DPoP-Nonce', `nonce-${(count += 1)}`);
      response.writeHead(400, { 'Content-Type': 'application/json' });
      response.end('{"error":"use_dpop_nonce"}');
    };
    const response = await send(`${server.origin}/x`, post);
    expect([response.status, count]).toEqual([400, 2]);
    expect(await response.json()).toEqual({ error: 'use_dpop_nonce' });
  });

  test('does not repeat a request without a new nonce', async () => {
    server.respond = (_, response) => {
      response.writeHead(400, { 'Content-Type': 'application/json' });
      response.end('{"error":"use_dpop_nonce"}');
    };
    await send(`${server.origin}/x`, post);
    expect(server.seen).toHaveLength(1);
  });

  test.each([
    ['another error', 400, 'application/json', '{"error":"invalid_grant"}'],
    ['no JSON', 400, 'text/html', '<h1>use_dpop_nonce</h1>'],
    ['another status', 403, 'application/json', '{"error":"use_dpop_nonce"}'],
  ])('returns %s with its body', async (_, status, type, body) => {
    server.respond = (__, response) => {
      response.writeHead(status, { 'Content-Type': type, 'DPoP-Nonce': 'nonce-1' }).end(body);
    };
    const response = await send(`${server.origin}/x`, post);
    expect([response.status, await response.text()]).toEqual([status, body]);
    expect(server.seen).toHaveLength(1);
  });

  test("returns the challenge if the request's body cannot be sent again", async () => {
    server.nonce = 'nonce-1';
    const body = new Blob(['x']).stream();
    const init = { method: 'POST', body, duplex: 'half' } as RequestInit;
    expect((await send(`${server.origin}/x`, init)).status).toBe(400);
    expect((await send(new Request(`${server.origin}/x`, post))).status).toBe(200);
    expect(proofs()).toEqual(['dpop_nonce_mismatch', 'verified']);
  });

  test('ignores an invalid nonce', async () => {
    server.respond = (_, response) => response.setHeader('DPoP-Nonce', 'a b').end();
    await send(`${server.origin}/x`, post);
    await send(`${server.origin}/x`, post);
    expect(proofs()).toEqual(['verified', 'verified']);
  });

  test('does not follow redirects', async () => {
    server.respond = (_, response) =>
      response.writeHead(307, { Location: `${other.origin}/y` }).end();
    for (const redirect of ['follow', 'manual', undefined] as const) {
      const response = await send(`${server.origin}/x`, { ...post, ...(redirect && { redirect }) });
      expect([response.status, response.headers.get('location')]).toEqual([
        307,
        `${other.origin}/y`,
      ]);
    }
    await expect(send(`${server.origin}/x`, { ...post, redirect: 'error' })).rejects.toThrow();
    expect(other.seen).toEqual([]);
  });

  test('sends nothing to another origin', async () => {
    const { keyId } = await store.createDpopKey({ clientId: 'app', origins: [other.origin] });
    expect(await outcome(dpopFetch(store, keyId)(`${server.origin}/x`, post))).toBe(
      'binding_mismatch',
    );
    expect(server.seen).toEqual([]);
  });

  test('is canceled by the signal of the request', async () => {
    const signal = AbortSignal.abort();
    expect(await outcome(send(`${server.origin}/x`, { ...post, signal }))).toBe('canceled');
  });

  test('uses the fetch option', async () => {
    const urls: unknown[] = [];
    const through = dpopFetch(store, key.keyId, {
      fetch: (input, init) => {
        urls.push(input);
        return fetch(input, init);
      },
    });
    await through(`${server.origin}/x`, post);
    expect([urls, proofs()]).toEqual([[`${server.origin}/x`], ['verified']]);
    expect(() => dpopFetch(store, key.keyId, { fetch: 'x' as never })).toThrow('options.fetch');
  });
});

describe('atprotoDpopKey', () => {
  const header = { alg: 'ES256', typ: 'dpop+jwt' };

  test('signs a proof with the given claims, and its own time and jti', async () => {
    const atproto = await atprotoDpopKey(store, key.keyId);
    expect([atproto.bareJwk, atproto.algorithms]).toEqual([key.jwk, ['ES256']]);
    const request = { htm: 'GET', htu: `${server.origin}/x` };
    const proof = await atproto.createJwt(header, { ...request, ...{ iat: 1, jti: 'weak' } });
    const verified = await verifyDpopProof(proof, request, { nonces: new InMemoryNonceStore() });
    expect(verified.jkt).toBe(key.jkt);
    expect(verified.jti).not.toBe('weak');
  });

  test.each<[string, object, object]>([
    ['another typ', { ...header, typ: 'JWT' }, {}],
    ['another alg', { ...header, alg: 'HS256' }, {}],
    ['another claim', header, { sub: 'user-1' }],
    ['no claims', header, {}],
  ])('signs nothing with %s', async (_, given, claims) => {
    const atproto = await atprotoDpopKey(store, key.keyId);
    expect(await outcome(atproto.createJwt(given, claims))).toBe('invalid_params');
  });
});

test('mcpDpopSession makes proofs with the last nonce of the origin', async () => {
  const session = await mcpDpopSession(store, key.keyId);
  expect([session.thumbprint, session.alg, session.publicJwk]).toEqual([key.jkt, 'ES256', key.jwk]);
  const url = `${server.origin}/mcp?x=1`;
  session.observeNonce(new Response('', { headers: { 'DPoP-Nonce': 'nonce-1' } }), url);
  expect([session.nonceFor(url), session.nonceFor(other.origin)]).toEqual(['nonce-1', undefined]);
  const proof = await session.buildProof({ htm: 'post', htu: url, accessToken: 'token-1' });
  const expected = {
    htm: 'POST',
    htu: url,
    nonce: 'nonce-1',
    accessToken: 'token-1',
    jkt: key.jkt,
  };
  await verifyDpopProof(proof, expected, { nonces: new InMemoryNonceStore() });
});
