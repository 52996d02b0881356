// Valid DPoP proofs of a software key, which tests then modify.
import { createHash, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';

export interface Jwk {
  crv?: string;
  kty?: string;
  x?: string;
  y?: string;
  [member: string]: unknown;
}

export const base64Url = (value: string | Buffer) => Buffer.from(value).toString('base64url');
export const digestOf = (text: string) => createHash('sha256').update(text).digest('base64url');

export class DpopSoftwareKey {
  private readonly privateKey: KeyObject;
  readonly jwk: Required<Pick<Jwk, 'crv' | 'kty' | 'x' | 'y'>>;
  readonly jkt: string;

  constructor(namedCurve = 'P-256') {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve });
    this.privateKey = privateKey;
    const { crv, kty, x, y } = publicKey.export({ format: 'jwk' }) as Record<string, string>;
    this.jwk = { crv: crv!, kty: kty!, x: x!, y: y! };
    this.jkt = digestOf(JSON.stringify({ crv, kty, x, y }));
  }

  get privateJwk(): Jwk {
    return this.privateKey.export({ format: 'jwk' });
  }

  get header(): Record<string, unknown> {
    return { typ: 'dpop+jwt', alg: 'ES256', jwk: this.jwk };
  }

  proof(claims: object, header: object = this.header): string {
    return this.sign(`${base64Url(JSON.stringify(header))}.${base64Url(JSON.stringify(claims))}`);
  }

  sign(input: string, dsaEncoding: 'ieee-p1363' | 'der' = 'ieee-p1363'): string {
    const key = { key: this.privateKey, dsaEncoding };
    return `${input}.${sign('sha256', Buffer.from(input), key).toString('base64url')}`;
  }
}
