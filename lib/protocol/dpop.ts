/** DPoP keys and proofs: the same checks and bytes as in native/protocol/dpop.cc and decode.cc. */
import { createHash, randomBytes } from 'node:crypto';

import type { DpopJwk, DpopKeyCreateParams } from '../dpop/types';
import { DeviceKeyError } from '../errors';
import { base64UrlByteLength } from '../verify/base64';
import {
  readParams,
  refuseParams,
  requireKeyId,
  requireKind,
  requireProtectionPolicy,
  type Members,
} from './decode';
import { parseOrigin } from './origin';
import { isOwnerId, OWNER_FORM } from './rules';

/** The contents of a proof except the time. Digests are SHA-256, in base64url. */
export interface DpopClaims {
  htm: string;
  htu: string;
  nonce: string | undefined;
  /** Of the access token. */
  ath: string | undefined;
  /** Of the authorization code. */
  jti: string | undefined;
}

const MAX_NONCE_LENGTH = 1024;
const DIGEST_BYTES = 32;

export function decodeCreateDpopKeyParams(value: unknown): DpopKeyCreateParams {
  const params = readParams(value);
  requireKind(params, 'clientId', 'string', refuseParams);
  requireKind(params, 'origins', 'strings', refuseParams);
  requireProtectionPolicy(params);
  return params as unknown as DpopKeyCreateParams;
}

export function decodeSignDpopParams(value: unknown): { keyId: string; claims: DpopClaims } {
  const params = readParams(value);
  requireKeyId(params);
  requireKind(params, 'htm', 'string', refuseParams);
  requireKind(params, 'htu', 'string', refuseParams);
  const nonce = optionalString(params, 'nonce');
  const ath = optionalDigestOf(params, 'accessToken');
  const jti = optionalDigestOf(params, 'authorizationCode');
  const digest = optionalString(params, 'accessTokenSha256Base64url');
  if (ath !== undefined && digest !== undefined) {
    refuseParams('accessTokenSha256Base64url', 'none beside accessToken');
  }
  const { keyId, htm, htu } = params as { keyId: string; htm: string; htu: string };
  return { keyId, claims: { htm, htu, nonce, ath: ath ?? digest, jti } };
}

function optionalString(params: Members, name: string): string | undefined {
  if (params[name] !== undefined) requireKind(params, name, 'string', refuseParams);
  return params[name] as string | undefined;
}

function optionalDigestOf(params: Members, name: string): string | undefined {
  const text = optionalString(params, name);
  if (text === undefined) return undefined;
  if (!/^[ -~]+$/.test(text)) refuseParams(name, 'one or more printable ASCII characters');
  return createHash('sha256').update(text).digest('base64url');
}

/** @throws DeviceKeyError `invalid_params` */
export function checkCreateDpopKeyParams({ clientId, origins }: DpopKeyCreateParams): void {
  if (!isOwnerId(clientId)) refuseParams('clientId', OWNER_FORM);
  if (origins.length === 0) refuseParams('origins', 'one origin or more');
  const bad = origins.findIndex((origin) => !isDpopOrigin(origin));
  if (bad < 0) return;
  refuseParams(
    `origins[${bad}]`,
    'an origin in its canonical form, https, or http on a loopback host: "://" and a host in lower ' +
      'case; no user info, path or final slash; never the default port',
  );
}

/** @throws DeviceKeyError `invalid_params` naming the member. */
export function checkDpopClaims({ htm, htu, nonce, ath }: DpopClaims): void {
  // RFC 9110 section 5.6.2, without lower-case letters.
  if (!/^[A-Z0-9!#$%&'*+.^_`|~-]+$/.test(htm)) {
    refuseParams('htm', 'an HTTP method: a token without lower-case letters');
  }
  const { origin, path } = splitUrl(htu);
  if (!isDpopOrigin(origin) || !isSerializedPath(path)) {
    refuseParams(
      'htu',
      'a URL as the URL standard serialises it, https, or http on a loopback host: a host name in ' +
        'lower case, never the default port, a path, and no user info, query or fragment',
    );
  }
  // RFC 9449 section 8.1: 1*NQCHAR.
  const isNonce = (text: string) => text.length <= MAX_NONCE_LENGTH && /^[!#-[\]-~]+$/.test(text);
  if (nonce !== undefined && !isNonce(nonce)) {
    refuseParams('nonce', '1 to 1,024 visible ASCII characters without " and \\');
  }
  if (ath !== undefined && base64UrlByteLength(ath) !== DIGEST_BYTES) {
    refuseParams(
      'accessTokenSha256Base64url',
      'a SHA-256 digest (32 bytes) in canonical, unpadded base64url',
    );
  }
}

/** @throws DeviceKeyError `binding_mismatch` when `htu` is on none of the key's origins. */
export function checkDpopOrigin(htu: string, origins: readonly string[]): void {
  if (origins.includes(splitUrl(htu).origin)) return;
  throw new DeviceKeyError(
    'binding_mismatch',
    'htu: expected a URL of an origin that the key was made for; make a key for this origin, or use ' +
      'its key',
  );
}

/** The bytes to sign (RFC 7515 section 5.1). */
export function dpopSigningInput(jwk: DpopJwk, claims: DpopClaims, iat: number): string {
  const { htm, htu, nonce, ath, jti = randomBytes(16).toString('base64url') } = claims;
  return [
    { alg: 'ES256', jwk, typ: 'dpop+jwt' },
    { ath, htm, htu, iat, jti, nonce },
  ]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
}

function splitUrl(url: string): { origin: string; path: string } {
  const separator = url.indexOf('://');
  const slash = separator < 0 ? -1 : url.indexOf('/', separator + 3);
  return slash < 0
    ? { origin: url, path: '' }
    : { origin: url.slice(0, slash), path: url.slice(slash) };
}

function isDpopOrigin(text: string): boolean {
  const origin = parseOrigin(text);
  return origin !== undefined && (origin.isHttps || origin.isLoopback);
}

/** https://url.spec.whatwg.org/#path-percent-encode-set and #single-dot-path-segment */
function isSerializedPath(path: string): boolean {
  return (
    /^\/[!-~]*$/.test(path) &&
    !/["#<>?\\^`{}]/.test(path) &&
    !path.split('/').some((segment) => /^(\.|%2e){1,2}$/i.test(segment))
  );
}
