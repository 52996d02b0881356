import { createHash, createPublicKey, verify, type KeyObject } from 'node:crypto';

import type { DpopJwk } from '../dpop/types';
import { jwkThumbprint } from './jwk';
import { ownMembers } from '../own';
import { clockOf, hasMethod, readArgument } from './arguments';
import { base64UrlByteLength } from './base64';
import { DeviceKeyVerificationError, type DeviceKeyVerificationCode } from './error';
import type { NonceStore } from './nonce-store';

/** What a DPoP proof must say: from the request that it came with, and from the backend's records. */
export interface ExpectedDpopProof {
  /** The method of the request. */
  htm: string;
  /** The URL of the request, as its client sees it. Query and fragment are ignored. */
  htu: string;
  /** The access token that came with the proof, at a resource server. Needs `jkt`. */
  accessToken?: string | undefined;
  /**
   * The JWK thumbprint of the key that the token, the refresh token or the code is bound to (`cnf.jkt`,
   * `dpop_jkt`). Without it any key is accepted: for a token request that binds a new key.
   */
  jkt?: string | undefined;
  /**
   * The nonce that this server gave the client, or what knows its nonces: a {@link DpopServerNonces}.
   * Without it the nonce of a proof is ignored.
   */
  nonce?: string | { accepts(nonce: string): boolean } | undefined;
}

export interface VerifyDpopProofOptions {
  /** Where the `jti` of each proof is marked as used. One store for all processes of the backend. */
  nonces: NonceStore;
  /** The time in Unix seconds, fractions allowed. Default: the system clock. */
  now?: () => number;
  /** How far `iat` may be from now, before and after, in seconds. Default 300. */
  clockWindowSeconds?: number;
  /** How far apart any two clocks of the backend may be, in seconds. Default 30. */
  clockSkewSeconds?: number;
}

/** A proof that holds. */
export interface VerifiedDpopProof {
  /** The thumbprint of the key that signed: bind tokens to it (`cnf: { jkt }`). */
  jkt: string;
  jwk: DpopJwk;
  jti: string;
  /** Unix seconds. */
  iat: number;
}

interface Claims {
  htm: string;
  htu: string;
  jti: string;
  iat: number;
  exp?: number;
  nbf?: number;
  nonce?: string;
  ath?: string;
}

// A request line's limit in many servers; a proof with a nonce of 1,024 characters has 2 kB.
const MAX_PROOF_LENGTH = 8192;

/**
 * Makes every check of RFC 9449 section 4.3, and accepts each proof once. The header must be exactly
 * `typ`, `alg` (ES256) and `jwk` (a public key of P-256): what other clients may put there is refused.
 *
 * The `jti` is used up last, when all the rest holds.
 *
 * @param proof the value of the one `DPoP` header; trusted in nothing, its type included
 * @throws DeviceKeyVerificationError when the proof does not hold
 * @throws TypeError when `expected` or `options` is not usable, which is a mistake of the caller's
 */
export async function verifyDpopProof(
  proof: string,
  expected: ExpectedDpopProof,
  options: VerifyDpopProofOptions,
): Promise<VerifiedDpopProof> {
  const wanted = usableExpectation(expected);
  const { nonces, now, clockWindowSeconds, clockSkewSeconds } = usableOptions(options);

  const parts = readParts(proof);
  const jwk = readHeader(parts.header);
  const key = importKey(jwk);
  if (!verify('sha256', parts.signed, dsa(key), parts.signature)) {
    throw refused('dpop_signature_mismatch', 'the proof is not signed by the key in its header');
  }
  const claims = readClaims(parts.claims);
  const jkt = jwkThumbprint(jwk);
  requireExpected(claims, jkt, wanted);
  requireInWindow(claims, now(), clockWindowSeconds);
  const used = `${jkt}:${sha256Base64Url(claims.jti)}`;
  await consume(nonces, used, claims.iat + clockWindowSeconds + 2 * clockSkewSeconds + 1);
  // Asked again because the store may have answered late, when it remembers no longer.
  requireInWindow(claims, now(), clockWindowSeconds);
  return { jkt, jwk, jti: claims.jti, iat: claims.iat };
}

function refused(
  code: DeviceKeyVerificationCode,
  message: string,
  options?: ErrorOptions,
): DeviceKeyVerificationError {
  return new DeviceKeyVerificationError(code, message, options);
}

/** The three parts of a JWS in compact serialisation (RFC 7515 section 7.1), in canonical base64url. */
function readParts(proof: unknown) {
  const malformed = (what: string) => refused('dpop_proof_malformed', `the proof ${what}`);
  if (typeof proof !== 'string') throw malformed('must be a string: send one DPoP header');
  if (proof.length > MAX_PROOF_LENGTH) throw malformed('is too long');
  const [header, claims, signature, ...rest] = proof.split('.');
  if (header === undefined || claims === undefined || signature === undefined || rest.length > 0) {
    throw malformed('must have three parts with dots between them');
  }
  for (const part of [header, claims, signature]) {
    if (base64UrlByteLength(part) === undefined) throw malformed('must be unpadded base64url');
  }
  return {
    header: readObject(header, malformed),
    claims: readObject(claims, malformed),
    signature: Buffer.from(signature, 'base64url'),
    signed: Buffer.from(`${header}.${claims}`),
  };
}

function readObject(
  part: string,
  malformed: (what: string) => DeviceKeyVerificationError,
): Record<string, unknown> {
  let value: unknown;
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
      Buffer.from(part, 'base64url'),
    );
    value = JSON.parse(text);
  } catch {
    throw malformed('must hold JSON in UTF-8');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw malformed('must hold two JSON objects');
  }
  return ownMembers(value) as Record<string, unknown>;
}

function readHeader(header: Record<string, unknown>): DpopJwk {
  const unacceptable = (what: string) => refused('dpop_header_unacceptable', what);
  if (header.typ !== 'dpop+jwt') throw unacceptable('typ must be dpop+jwt');
  if (header.alg !== 'ES256') throw unacceptable('alg must be ES256');
  if (!hasExactly(header, ['alg', 'jwk', 'typ'])) {
    throw unacceptable('the header must have alg, jwk and typ, and no other member');
  }
  const badKey = (what: string) => refused('dpop_key_unacceptable', `jwk ${what}`);
  if (typeof header.jwk !== 'object' || header.jwk === null) throw badKey('must be an object');
  const jwk = ownMembers(header.jwk) as Record<string, unknown>;
  if (Object.hasOwn(jwk, 'd')) throw badKey('must not be a private key');
  if (!hasExactly(jwk, ['crv', 'kty', 'x', 'y'])) {
    throw badKey('must have crv, kty, x and y, and no other member');
  }
  const { crv, kty, x, y } = jwk;
  if (kty !== 'EC' || crv !== 'P-256') throw badKey('must be a key of P-256');
  if (!isBase64UrlOf32Bytes(x) || !isBase64UrlOf32Bytes(y)) {
    throw badKey('must have x and y of 32 bytes in unpadded base64url');
  }
  return { crv, kty, x, y };
}

function hasExactly(object: object, sortedNames: string[]): boolean {
  return Object.keys(object).sort().join() === sortedNames.join();
}

function isBase64UrlOf32Bytes(value: unknown): value is string {
  return typeof value === 'string' && base64UrlByteLength(value) === 32;
}

function importKey(jwk: DpopJwk): KeyObject {
  try {
    const key = { __proto__: null, ...jwk };
    return createPublicKey({ __proto__: null, key, format: 'jwk' } as never);
  } catch (cause) {
    throw refused('dpop_key_unacceptable', 'jwk must be a point of P-256', { cause });
  }
}

/** For the raw r and s of a JWS (RFC 7518 section 3.4), which OpenSSL requires to have 64 bytes. */
function dsa(key: KeyObject): { key: KeyObject; dsaEncoding: 'ieee-p1363' } {
  return { __proto__: null, key, dsaEncoding: 'ieee-p1363' } as never;
}

function readClaims(claims: Record<string, unknown>): Claims {
  const malformed = (what: string) => refused('dpop_claims_malformed', what);
  for (const name of ['jti', 'htm', 'htu']) {
    if (typeof claims[name] !== 'string' || claims[name] === '') {
      throw malformed(`${name} must be a string that is not empty`);
    }
  }
  if (!Number.isFinite(claims.iat)) throw malformed('iat must be a number of Unix seconds');
  for (const name of ['exp', 'nbf']) {
    if (claims[name] !== undefined && !Number.isFinite(claims[name])) {
      throw malformed(`${name} must be a number of Unix seconds`);
    }
  }
  for (const name of ['nonce', 'ath']) {
    if (claims[name] !== undefined && typeof claims[name] !== 'string') {
      throw malformed(`${name} must be a string`);
    }
  }
  return claims as unknown as Claims;
}

function requireExpected(claims: Claims, jkt: string, expected: UsableExpectation): void {
  // Plain comparisons: the signature holds, so whoever could learn by timing is the key's owner.
  if (claims.htm !== expected.htm) {
    throw refused('dpop_htm_mismatch', 'htm is not the method of the request');
  }
  if (normalizedHtu(claims.htu) !== expected.htu) {
    throw refused('dpop_htu_mismatch', 'htu is not the URL of the request');
  }
  if (expected.nonce !== undefined && !isNonceOf(expected.nonce, claims.nonce)) {
    throw refused(
      'dpop_nonce_mismatch',
      'nonce is not one that this server gave, or too old: answer use_dpop_nonce and a new one',
    );
  }
  const { accessToken } = expected;
  if (accessToken !== undefined && claims.ath !== sha256Base64Url(accessToken)) {
    throw refused('dpop_ath_mismatch', 'ath is not the digest of the access token');
  }
  if (expected.jkt !== undefined && jkt !== expected.jkt) {
    throw refused('dpop_key_mismatch', 'the proof is signed by another key than the bound one');
  }
}

function isNonceOf(
  expected: NonNullable<ExpectedDpopProof['nonce']>,
  nonce: string | undefined,
): boolean {
  if (nonce === undefined) return false;
  return typeof expected === 'string' ? nonce === expected : expected.accepts(nonce);
}

function requireInWindow({ iat, exp, nbf }: Claims, now: number, window: number): void {
  const recent = Math.abs(now - iat) <= window;
  // Not asked for by RFC 9449; who signs them means them (RFC 7519 section 4.1.4 and 4.1.5).
  const inForce = (exp === undefined || now < exp) && (nbf === undefined || now >= nbf - window);
  if (recent && inForce) return;
  throw refused(
    'dpop_iat_out_of_window',
    `iat must be within ${window} s of now: have the client make a new proof; is its clock right?`,
  );
}

async function consume(nonces: NonceStore, used: string, expiresAt: number): Promise<void> {
  const failed = (message: string, options?: ErrorOptions) =>
    refused('nonce_store_failed', message, options);
  let first: unknown;
  try {
    first = await nonces.consume(used, expiresAt);
  } catch (cause) {
    throw failed('the nonce store could not say whether the jti is unused', { cause });
  }
  if (typeof first !== 'boolean') throw failed('the nonce store must resolve to true or false');
  if (!first) throw refused('dpop_replayed', 'the proof was used before: each is for one request');
}

function sha256Base64Url(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}

/**
 * Without query and fragment, and normalised as RFC 3986 sections 6.2.2 and 6.2.3 say; undefined for what
 * is no URL of a request.
 */
function normalizedHtu(text: string): string | undefined {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return undefined;
  }
  if (!/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '') {
    return undefined;
  }
  const path = url.pathname.replace(/%[0-9a-f]{2}/gi, (octet) => {
    const character = String.fromCharCode(parseInt(octet.slice(1), 16));
    return /[\w.~-]/.test(character) ? character : octet.toUpperCase();
  });
  return url.origin + path;
}

type UsableExpectation = ReturnType<typeof usableExpectation>;

function usableExpectation(expected: ExpectedDpopProof) {
  const { htm, htu, accessToken, jkt, nonce } = readArgument(expected, 'expected');
  if (typeof htm !== 'string' || htm === '') throw new TypeError('expected.htm must be a method');
  const normalized = typeof htu === 'string' ? normalizedHtu(htu) : undefined;
  if (normalized === undefined) {
    throw new TypeError('expected.htu must be an http or https URL without user info');
  }
  if (accessToken !== undefined && (typeof accessToken !== 'string' || accessToken === '')) {
    throw new TypeError('expected.accessToken must be a string that is not empty');
  }
  if (jkt !== undefined && !isBase64UrlOf32Bytes(jkt)) {
    throw new TypeError('expected.jkt must be a SHA-256 thumbprint in unpadded base64url');
  }
  if (accessToken !== undefined && jkt === undefined) {
    throw new TypeError('expected.jkt must say which key the access token is bound to');
  }
  const isNonce =
    nonce === undefined || (typeof nonce === 'string' ? nonce !== '' : hasMethod(nonce, 'accepts'));
  if (!isNonce) throw new TypeError('expected.nonce must be a nonce or a DpopServerNonces');
  return { htm, htu: normalized, accessToken, jkt, nonce };
}

function usableOptions(options: VerifyDpopProofOptions) {
  const own = readArgument(options, 'options');
  const { nonces, clockWindowSeconds = 300, clockSkewSeconds = 30 } = own;
  const now = clockOf(own);
  if (nonces === undefined || !hasMethod(nonces, 'consume')) {
    throw new TypeError('options.nonces must be a NonceStore');
  }
  for (const [name, seconds] of Object.entries({ clockWindowSeconds, clockSkewSeconds })) {
    if (!Number.isFinite(seconds) || seconds < 0) {
      throw new TypeError(`options.${name} must be a number of seconds, 0 or more`);
    }
  }
  return { nonces, now, clockWindowSeconds, clockSkewSeconds };
}
