import { readOptions } from '../own';
import type { DeviceKeyStore } from '../store';
import { jwkOf, jwkThumbprint } from '../verify/jwk';
import { DeviceKeyError } from '../errors';
import { OriginNonces, urlOf } from './origin-nonces';
import { requireSigner } from './signer';
import type { DpopJwk } from './types';

/** The members of `DpopSession` that the Model Context Protocol's TypeScript client uses. */
export interface McpDpopSession {
  /** The JWK thumbprint (RFC 7638) of the key. */
  readonly thumbprint: string;
  readonly alg: 'ES256';
  readonly publicJwk: DpopJwk;
  nonceFor(url: string | URL): string | undefined;
  rememberNonce(url: string | URL, nonce: string): void;
  observeNonce(response: Response, url: string | URL): void;
  buildProof(request: {
    htm: string;
    htu: string | URL;
    accessToken?: string;
    nonce?: string;
  }): Promise<string>;
}

/**
 * A DPoP key for the Model Context Protocol's client (`OAuthClientProvider.dpop`, `withDpop`). For
 * a client without these, pass `dpopFetch` as its transport's `fetch`.
 */
export async function mcpDpopSession(
  store: Pick<DeviceKeyStore, 'public' | 'signDpop'>,
  keyId: string,
): Promise<McpDpopSession> {
  requireSigner(store, ['public', 'signDpop']);
  const publicJwk = jwkOf((await store.public({ keyId })).publicKeySpkiDerBase64);
  const nonces = new OriginNonces();
  return {
    thumbprint: jwkThumbprint(publicJwk),
    alg: 'ES256',
    publicJwk,
    nonceFor: (url) => nonces.get(url),
    rememberNonce: (url, nonce) => {
      nonces.set(url, nonce);
    },
    observeNonce: (response, url) => {
      nonces.observe(url, response);
    },
    async buildProof(request) {
      const { htm, htu, accessToken, nonce } = readOptions(request, 'request') as typeof request;
      if (typeof htm !== 'string') {
        throw new DeviceKeyError('invalid_params', 'htm: expected the HTTP method');
      }
      const { origin, pathname } = urlOf(htu, 'htu');
      const { proof } = await store.signDpop({
        keyId,
        htm: htm.toUpperCase(),
        htu: origin + pathname,
        accessToken,
        nonce: nonce ?? nonces.get(htu),
      });
      return proof;
    },
  };
}
