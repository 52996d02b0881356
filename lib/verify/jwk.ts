import { createHash, createPublicKey } from 'node:crypto';

import type { DpopJwk } from '../dpop/types';

/** The SHA-256 thumbprint of a P-256 public key (RFC 7638 section 3), in base64url. */
export function jwkThumbprint({ crv, kty, x, y }: DpopJwk): string {
  return createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url');
}

/** The public key of a store's answer as a JWK. */
export function jwkOf(publicKeySpkiDerBase64: string): DpopJwk {
  const der = Buffer.from(publicKeySpkiDerBase64, 'base64');
  const key = createPublicKey({ __proto__: null, key: der, format: 'der', type: 'spki' } as never);
  const { crv, kty, x, y } = key.export({ format: 'jwk' });
  return { crv, kty, x, y } as DpopJwk;
}
