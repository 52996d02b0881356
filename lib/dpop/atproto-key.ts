import { DeviceKeyError } from '../errors';
import { readOptions } from '../own';
import type { DeviceKeyStore } from '../store';
import { jwkOf } from '../verify/jwk';
import { requireSigner } from './signer';
import type { DpopJwk } from './types';

/** The members of `Key` of `@atproto/jwk` that `@atproto/oauth-client` uses to make DPoP proofs. */
export interface AtprotoDpopKey {
  readonly jwk: Readonly<DpopJwk>;
  readonly bareJwk: Readonly<DpopJwk>;
  readonly publicJwk: Readonly<DpopJwk>;
  readonly alg: 'ES256';
  readonly algorithms: readonly ['ES256'];
  /**
   * A signed DPoP proof with `htm`, `htu`, `nonce` and `ath` of `payload`; the store sets `iat` and
   * `jti`.
   */
  createJwt(
    header: { alg?: unknown; typ?: unknown; jwk?: unknown },
    payload: { htm?: unknown; htu?: unknown; nonce?: unknown; ath?: unknown },
  ): Promise<`${string}.${string}.${string}`>;
}

const CLAIMS = ['htm', 'htu', 'nonce', 'ath', 'iat', 'jti'];

/**
 * A DPoP key for `@atproto/oauth-client`: for `dpopFetchWrapper`, and as the result of a runtime's
 * `createKey`. It signs only DPoP proofs: `createJwt` rejects with `invalid_params` for a header or
 * a claim that a proof does not have.
 */
export async function atprotoDpopKey(
  store: Pick<DeviceKeyStore, 'public' | 'signDpop'>,
  keyId: string,
): Promise<AtprotoDpopKey> {
  requireSigner(store, ['public', 'signDpop']);
  const { publicKeySpkiDerBase64 } = await store.public({ keyId });
  const jwk = Object.freeze(jwkOf(publicKeySpkiDerBase64));
  return {
    jwk,
    bareJwk: jwk,
    publicJwk: jwk,
    alg: 'ES256',
    algorithms: Object.freeze(['ES256'] as const),
    async createJwt(header, payload) {
      const { typ, alg } = readOptions(header, 'header');
      const claims = readOptions(payload, 'payload');
      if (typ !== 'dpop+jwt') throw refused('header.typ: expected dpop+jwt');
      if (alg !== 'ES256') throw refused('header.alg: expected ES256');
      for (const [name, value] of Object.entries(claims)) {
        if (value !== undefined && !CLAIMS.includes(name)) {
          throw refused(`payload: expected no claims but ${CLAIMS.join(', ')}`);
        }
      }
      const { htm, htu, nonce, ath } = claims as Record<'htm' | 'htu', string> & {
        nonce?: string;
        ath?: string;
      };
      // The addon checks the values.
      const { proof } = await store.signDpop({
        keyId,
        htm,
        htu,
        nonce,
        accessTokenSha256Base64url: ath,
      });
      return proof as `${string}.${string}.${string}`;
    },
  };
}

function refused(message: string): DeviceKeyError {
  return new DeviceKeyError('invalid_params', `${message}: the key signs only DPoP proofs`);
}
