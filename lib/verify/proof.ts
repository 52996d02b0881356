import type {
  DeviceKeyAlgorithm,
  DeviceKeySignPayload,
  DeviceKeySignResponse,
} from '../../types/v2';
import { isPayloadType, PAYLOADS } from '../protocol/payload-types';
import { clockOf, copyOfArray, hasMethod, readArgument } from './arguments';
import { base64UrlByteLength } from './base64';
import { DeviceKeyVerificationError, type DeviceKeyVerificationCode } from './error';
import type { NonceStore } from './nonce-store';
import { parseSignedPayload } from './payload';
import { readStrings, verifyDeviceKeySignatureAsync } from './signature';

interface ExpectedOfEveryType {
  /**
   * From the backend's record of the enrolled key. For an enrollment it is the key being enrolled, as
   * the client sent it: only here is a malformed value the proof's fault.
   */
  publicKeySpkiDerBase64: string;
  /** The nonce this backend issued: at least 32 random bytes in unpadded base64url. */
  nonce: string;
  targetOrigin: string;
  targetPath: string;
  accountUserId: string;
  clientId: string;
}

/** The required contents of a connection proof, all from the backend's own records. */
export interface ExpectedConnectionProof extends ExpectedOfEveryType {
  type: 'remoteControlClientConnection';
  audience: 'remote_control_client_websocket';
  sessionId: string;
  /** SHA-256 of the access token that came with the proof, in unpadded base64url. */
  tokenSha256Base64url: string;
  scopes: readonly string[];
  /** Unix seconds. When absent any expiry within the limits of the options is accepted. */
  tokenExpiresAt?: number | undefined;
}

/** The required contents of an enrollment proof, all from the backend's own records. */
export interface ExpectedEnrollmentProof extends ExpectedOfEveryType {
  type: 'remoteControlClientEnrollment';
  audience: 'remote_control_client_enrollment';
  challengeId: string;
  /** SHA-256 of the device identity being enrolled, in unpadded base64url. */
  deviceIdentitySha256Base64url: string;
  /** Unix seconds. When absent any expiry within the limits of the options is accepted. */
  challengeExpiresAt?: number | undefined;
}

export type ExpectedProof = ExpectedConnectionProof | ExpectedEnrollmentProof;

export interface VerifyDeviceKeyProofOptions {
  /** Where the nonce is marked as used. One store for all processes of the backend. */
  nonces: NonceStore;
  /** The time in Unix seconds, fractions allowed. Default: the system clock. */
  now?: () => number;
  /** The largest difference between two clocks of the backend, in seconds. Default 30. */
  clockSkewSeconds?: number;
  /** How far ahead an expiry may be, in seconds. Default 900, the most that a device key signs. */
  maxLifetimeSeconds?: number;
  /**
   * Called once for each proof that was accepted or refused, before the promise settles: for metrics.
   * The promise rejects with what it throws.
   */
  onDecision?: (decision: DeviceKeyProofDecision) => void;
}

/** How a verification ended. */
export interface DeviceKeyProofDecision {
  code: 'accepted' | DeviceKeyVerificationCode;
  type: ExpectedProof['type'];
  /** From the call on. The wait for a thread and for the nonce store are in it. */
  seconds: number;
}

/** The payload that goes with an expectation. */
type PayloadOf<Expected extends ExpectedProof> = Extract<
  DeviceKeySignPayload,
  { type: Expected['type'] }
>;

type MemberCheck = { member: string; code: DeviceKeyVerificationCode };

const CHECKS_OF_EVERY_TYPE: readonly MemberCheck[] = [
  { member: 'audience', code: 'audience_mismatch' },
  { member: 'nonce', code: 'nonce_mismatch' },
  { member: 'targetOrigin', code: 'target_origin_mismatch' },
  { member: 'targetPath', code: 'target_path_mismatch' },
  { member: 'accountUserId', code: 'account_user_id_mismatch' },
  { member: 'clientId', code: 'client_id_mismatch' },
];

/** Which code a member that is not the expected one has. */
const CHECKS: Record<ExpectedProof['type'], readonly MemberCheck[]> = {
  remoteControlClientConnection: [
    ...CHECKS_OF_EVERY_TYPE,
    { member: 'sessionId', code: 'session_id_mismatch' },
    { member: 'tokenSha256Base64url', code: 'token_sha256_mismatch' },
  ],
  remoteControlClientEnrollment: [
    ...CHECKS_OF_EVERY_TYPE,
    { member: 'challengeId', code: 'challenge_id_mismatch' },
    { member: 'deviceIdentitySha256Base64url', code: 'device_identity_sha256_mismatch' },
  ],
};

/**
 * Verifies that the key of `expected` signed exactly the statement that the backend expects, that it has
 * not expired, and that it is used for the first time. Resolves to the statement.
 *
 * It checks the signature before it parses anything, and uses the nonce last, when everything else is
 * valid: a client can correct a refused proof and send it again, but cannot send an accepted one again.
 *
 * @param proof the `DeviceKeySignResponse` as the client sent it; nothing in it is trusted, not even its shape
 * @param expected the backend's own records, never values copied from the proof
 * @throws DeviceKeyVerificationError when the proof does not hold
 * @throws TypeError when `expected` or `options` is not usable, which is a mistake of the caller
 */
export async function verifyDeviceKeyProof<Expected extends ExpectedProof>(
  proof: DeviceKeySignResponse,
  expected: Expected,
  options: VerifyDeviceKeyProofOptions,
): Promise<PayloadOf<Expected>> {
  const wanted = usableExpectation(expected);
  const usable = usableOptions(options);
  const { onDecision } = usable;
  if (onDecision === undefined) return decide(proof, wanted, usable);
  const start = performance.now();
  const decided = (code: DeviceKeyProofDecision['code']) => {
    onDecision({ code, type: wanted.type, seconds: (performance.now() - start) / 1000 });
  };
  let payload: PayloadOf<Expected>;
  try {
    payload = await decide(proof, wanted, usable);
  } catch (error) {
    if (error instanceof DeviceKeyVerificationError) decided(error.code);
    throw error;
  }
  decided('accepted');
  return payload;
}

async function decide<Expected extends ExpectedProof>(
  proof: DeviceKeySignResponse,
  wanted: Expected,
  { nonces, now, clockSkewSeconds, maxLifetimeSeconds }: ReturnType<typeof usableOptions>,
): Promise<PayloadOf<Expected>> {
  const { signedPayloadBase64, signatureDerBase64, algorithm } = readStrings(proof, [
    'signedPayloadBase64',
    'signatureDerBase64',
    'algorithm',
  ]);

  const signedPayload = await verifyDeviceKeySignatureAsync({
    publicKeySpkiDerBase64: wanted.publicKeySpkiDerBase64,
    signedPayloadBase64,
    signatureDerBase64,
    algorithm: algorithm as DeviceKeyAlgorithm,
  });
  const payload = parseSignedPayload(signedPayload, wanted.type);
  requireExpectedMembers(payload, wanted);

  const { expiry } = PAYLOADS[wanted.type];
  const expiresAt = expiryOf(payload);
  const checkedAt = now();
  requireInForce(expiry, expiresAt, checkedAt, clockSkewSeconds);
  if (expiresAt > checkedAt + maxLifetimeSeconds + clockSkewSeconds) {
    throw new DeviceKeyVerificationError(
      'lifetime_too_long',
      `${expiry} must be at most ${maxLifetimeSeconds} s ahead`,
    );
  }

  await consume(nonces, payload.nonce, expiresAt + 2 * clockSkewSeconds);
  // Check again, because the store may have answered late. This makes a second use impossible: when the
  // answer is accepted this clock is before expiry + skew, so the store's clock is before expiry + 2 *
  // skew, and until then the store remembers the nonce.
  requireInForce(expiry, expiresAt, now(), clockSkewSeconds);
  return payload as PayloadOf<Expected>;
}

function expiryOf(payload: DeviceKeySignPayload): number {
  return payload.type === 'remoteControlClientConnection'
    ? payload.tokenExpiresAt
    : payload.challengeExpiresAt;
}

function requireExpectedMembers(payload: DeviceKeySignPayload, expected: ExpectedProof): void {
  const said = payload as unknown as Record<string, unknown>;
  const wanted = expected as unknown as Record<string, unknown>;
  const { expiry } = PAYLOADS[expected.type];
  // Plain comparisons: the signature is valid, so only the key's owner could learn from timing.
  for (const { member, code } of CHECKS[expected.type]) {
    if (said[member] !== wanted[member]) throw mismatch(code, member);
  }
  if (expected.type === 'remoteControlClientConnection') {
    const scopes = said.scopes as string[];
    const same =
      scopes.length === expected.scopes.length &&
      scopes.every((scope, index) => scope === expected.scopes[index]);
    if (!same) throw mismatch('scopes_mismatch', 'scopes');
  }
  if (wanted[expiry] !== undefined && said[expiry] !== wanted[expiry]) {
    throw mismatch('expiry_mismatch', expiry);
  }
}

function mismatch(code: DeviceKeyVerificationCode, member: string): DeviceKeyVerificationError {
  return new DeviceKeyVerificationError(
    code,
    `the signed ${member} is not the expected one: the proof was made for something else`,
  );
}

function requireInForce(
  member: string,
  expiresAt: number,
  now: number,
  clockSkewSeconds: number,
): void {
  if (!(now < expiresAt + clockSkewSeconds)) {
    throw new DeviceKeyVerificationError(
      'expired',
      `${member} has passed: issue a new nonce and have the client sign again`,
    );
  }
}

async function consume(nonces: NonceStore, nonce: string, expiresAt: number): Promise<void> {
  const failed = (message: string, options?: ErrorOptions) =>
    new DeviceKeyVerificationError('nonce_store_failed', message, options);
  let first: unknown;
  try {
    first = await nonces.consume(nonce, expiresAt);
  } catch (cause) {
    throw failed('the nonce store could not say whether the nonce is unused', { cause });
  }
  // Refuse a store that resolves to its database's answer ('OK', 1): it has not decided.
  if (typeof first !== 'boolean') throw failed('the nonce store must resolve to true or false');
  if (!first) {
    throw new DeviceKeyVerificationError(
      'nonce_replayed',
      'the nonce was used before: issue a new one and have the client sign again',
    );
  }
}

function usableOptions(options: VerifyDeviceKeyProofOptions) {
  const own = readArgument(options, 'options');
  const { nonces, clockSkewSeconds = 30, maxLifetimeSeconds = 900, onDecision } = own;
  const now = clockOf(own);
  if (nonces === undefined || !hasMethod(nonces, 'consume')) {
    throw new TypeError('options.nonces must be a NonceStore');
  }
  for (const [name, seconds] of Object.entries({ clockSkewSeconds, maxLifetimeSeconds })) {
    if (!Number.isFinite(seconds) || seconds < 0) {
      throw new TypeError(`options.${name} must be a number of seconds, 0 or more`);
    }
  }
  if (onDecision !== undefined && typeof onDecision !== 'function') {
    throw new TypeError('options.onDecision must be a function');
  }
  return { nonces, now, clockSkewSeconds, maxLifetimeSeconds, onDecision };
}

/**
 * A copy of the expectation, checked against the rules of the protocol. A payload that is equal to it then obeys them
 * too. This also finds a missing member, which JavaScript would compare as undefined.
 */
function usableExpectation<Expected extends ExpectedProof>(given: Expected): Expected {
  const expected = readArgument(given, 'expected') as Expected;
  if (!isPayloadType(expected.type)) throw new TypeError('expected.type must be a payload type');
  const { audience, digest, expiry } = PAYLOADS[expected.type];
  const wanted = expected as unknown as Record<string, unknown>;
  for (const { member } of CHECKS[expected.type]) {
    if (typeof wanted[member] !== 'string' || wanted[member] === '') {
      throw new TypeError(`expected.${member} must be a string that is not empty`);
    }
  }
  if (expected.audience !== audience) {
    throw new TypeError(`expected.audience must be ${audience} for this type`);
  }
  if ((base64UrlByteLength(expected.nonce) ?? 0) < 32) {
    throw new TypeError('expected.nonce must be unpadded base64url of at least 32 bytes');
  }
  if (base64UrlByteLength(wanted[digest]) !== 32) {
    throw new TypeError(`expected.${digest} must be unpadded base64url of 32 bytes`);
  }
  if (expected.type === 'remoteControlClientConnection') {
    const scopes = copyOfArray(expected.scopes);
    if (scopes === undefined || scopes.length === 0) {
      throw new TypeError('expected.scopes must be an array that is not empty');
    }
    wanted.scopes = scopes;
  }
  if (wanted[expiry] !== undefined && !Number.isSafeInteger(wanted[expiry])) {
    throw new TypeError(`expected.${expiry} must be a whole number of Unix seconds`);
  }
  return expected;
}
