import { DeviceKeyError } from '../errors';
import { ownMembers, readOptions } from '../own';
import type { DeviceKeyStore } from '../store';
import { OriginNonces } from './origin-nonces';
import { requireSigner } from './signer';

/** A maker of proofs: a `DeviceKeyStore`, or the in-memory store of `node-device-key/testing`. */
export type DpopSigner = Pick<DeviceKeyStore, 'signDpop'>;

/**
 * Its `body` is also a `Uint8Array`, which oauth4webapi and openid-client declare. The types of the DOM
 * since TypeScript 5.9 refuse one whose buffer may be shared.
 */
export type DpopFetch = (
  input: string | URL | Request,
  init?: Omit<RequestInit, 'body'> & { body?: RequestInit['body'] | Uint8Array },
) => Promise<Response>;

export interface DpopFetchOptions {
  /** The function that sends the requests. Default: `globalThis.fetch`. */
  fetch?: (input: string | URL | Request, init?: RequestInit) => Promise<Response>;
}

/**
 * A `fetch` that adds a DPoP proof to each request, for `[customFetch]` of oauth4webapi and
 * openid-client, and for every other client that takes a `fetch`.
 *
 * - A request gets a proof unless it is a GET or HEAD without access token, such as for a server's
 *   metadata. The URL must be on one of the key's origins.
 * - An access token is sent as `Authorization: DPoP`, even if the caller wrote `Bearer`, and the
 *   proof is bound to it. Use it only for tokens that are bound to the key.
 * - The nonce that a server sent last is used for its origin. When a server asks for another one
 *   (`use_dpop_nonce`), the request is repeated once; not one whose body is a stream.
 * - Redirects are not followed, because a proof is for one URL: the redirect response is returned.
 *
 * Rejects like `signDpop` and `fetch`.
 */
export function dpopFetch(store: DpopSigner, keyId: string, options?: DpopFetchOptions): DpopFetch {
  const { fetch: send = sendGlobally } = readOptions(options);
  if (typeof send !== 'function') {
    throw new DeviceKeyError('invalid_params', 'options.fetch: expected a function');
  }
  requireSigner(store, ['signDpop']);
  const nonces = new OriginNonces();

  return async (input, init) => {
    const own = ownMembers(init) as RequestInit;
    const request = describe(input, own);
    const attempt = async (nonce: string | undefined): Promise<Response> => {
      const { htm, htu, accessToken, signal } = request;
      const headers = new Headers(request.headers);
      headers.delete('DPoP');
      if (accessToken !== undefined) headers.set('Authorization', `DPoP ${accessToken}`);
      if (accessToken !== undefined || !isRead(htm)) {
        const params = { keyId, htm, htu, nonce, accessToken };
        const { proof } = await store.signDpop(params, signal ? { signal } : undefined);
        headers.set('DPoP', proof);
      }
      const redirect = request.redirect === 'error' ? 'error' : 'manual';
      const response = await send(input, { ...own, headers, redirect });
      nonces.observe(htu, response);
      return response;
    };

    const nonce = nonces.get(request.htu);
    const response = await attempt(nonce);
    const next = nonces.get(request.htu);
    const repeat = request.repeatable && next !== nonce && (await asksForNonce(response));
    if (!repeat) return response;
    await response.body?.cancel();
    return attempt(next);
  };
}

/** Looked up at each call, because programs may replace it. */
const sendGlobally: typeof fetch = (input, init) => globalThis.fetch(input, init);

function isRead(method: string): boolean {
  return method === 'GET' || method === 'HEAD';
}

/** The properties of a request that the proof and the repetition need. */
function describe(input: string | URL | Request, init: RequestInit) {
  // Without the body, which a Request would read. fetch converts standard methods to upper case.
  const asRequest = input instanceof Request ? input : undefined;
  const { method, url } = new Request(asRequest?.url ?? input, {
    method: init.method ?? asRequest?.method ?? 'GET',
  });
  const { origin, pathname } = new URL(url);
  const headers = new Headers(init.headers ?? asRequest?.headers);
  // RFC 9110 section 11.1: schemes are case-insensitive.
  const token = /^(?:DPoP|Bearer) +(\S+)$/i.exec(headers.get('Authorization') ?? '')?.[1];
  const body = init.body ?? asRequest?.body;
  const signal = init.signal ?? asRequest?.signal;
  return {
    htm: method,
    htu: origin + pathname,
    headers,
    accessToken: token,
    signal,
    redirect: init.redirect ?? asRequest?.redirect,
    // A stream can be read only once, and so can a Request with a body.
    repeatable: body === undefined || body === null || isRepeatable(body),
  };
}

function isRepeatable(body: unknown): boolean {
  return (
    typeof body === 'string' ||
    body instanceof URLSearchParams ||
    body instanceof FormData ||
    body instanceof Blob ||
    body instanceof ArrayBuffer ||
    ArrayBuffer.isView(body)
  );
}

/** RFC 9449 section 8 (authorization servers) and 9 (resource servers). */
async function asksForNonce(response: Response): Promise<boolean> {
  if (response.status === 401) {
    const challenge = response.headers.get('WWW-Authenticate') ?? '';
    return /(^|,)\s*DPoP\s/i.test(challenge) && /error="?use_dpop_nonce"?/i.test(challenge);
  }
  if (response.status !== 400) return false;
  try {
    // The caller gets the body unchanged.
    const body = await response.clone().json();
    return (
      typeof body === 'object' &&
      body !== null &&
      (body as { error?: unknown }).error === 'use_dpop_nonce'
    );
  } catch {
    return false;
  }
}
