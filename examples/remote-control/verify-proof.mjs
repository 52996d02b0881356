// @ts-check
/**
 * What a backend does with a device key's proof. Nothing here is specific to this demonstration:
 * it needs node:crypto and nothing else, and is written to be read.
 *
 * A proof is three strings:
 *   algorithm            `ecdsa_p256_sha256`
 *   signedPayloadBase64  the exact bytes that were signed
 *   signatureDerBase64   the ECDSA signature of those bytes, DER encoded
 *
 * Three rules carry the security:
 *   1. Verify the signature over the bytes as received. Bytes rebuilt from parsed members are not
 *      the bytes that the key signed.
 *   2. Compare every member with what *you* know: your challenge, your origin, the account of the
 *      caller's login. A member that is merely read from the proof proves nothing.
 *   3. Take the challenge off the list before looking at the proof, so that neither a proof nor a
 *      guess can be tried twice.
 *
 * @typedef {import('node:crypto').KeyObject} KeyObject
 * @typedef {{ algorithm: string, signedPayloadBase64: string, signatureDerBase64: string }} Proof
 * @typedef {{ type: string, [member: string]: string | number | readonly string[] }} Payload
 */
import { createHash, createPublicKey, randomBytes, verify } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';

const DOMAIN = 'codex-device-key-sign-payload/v1';
const ALGORITHM = 'ecdsa_p256_sha256';
const MAX_SIGNED_BYTES = 8 * 1024;

/** The member of each payload type that says how long the statement holds, in Unix seconds. */
const EXPIRY_MEMBER = /** @type {Record<string, string>} */ ({
  remoteControlClientEnrollment: 'challengeExpiresAt',
  remoteControlClientConnection: 'tokenExpiresAt',
});

/** A proof that was not accepted. `code` is stable; `message` names the member or rule. */
export class ProofRefused extends Error {
  /** @param {string} code @param {string} message */
  constructor(code, message) {
    super(message);
    this.name = 'ProofRefused';
    this.code = code;
  }
}

/**
 * Accepts `proof` or throws ProofRefused.
 *
 * @param {object} options
 * @param {KeyObject} options.publicKey from importPublicKey()
 * @param {Proof} options.proof as received; nothing about it is trusted
 * @param {Payload} options.expected the whole payload that an honest device would have signed
 * @param {number} options.now Unix seconds
 */
export function verifyProof({ publicKey, proof, expected, now }) {
  if (proof?.algorithm !== ALGORITHM) {
    throw new ProofRefused('malformed', `algorithm is not ${ALGORITHM}`);
  }
  const signedBytes = decodeBase64(proof.signedPayloadBase64, 'signedPayloadBase64');
  const signature = decodeBase64(proof.signatureDerBase64, 'signatureDerBase64');
  if (signedBytes.length > MAX_SIGNED_BYTES) {
    throw new ProofRefused('malformed', `signedPayloadBase64 is over ${MAX_SIGNED_BYTES} bytes`);
  }

  // First of all, so that everything below reads only what the key has signed.
  if (!verify('sha256', signedBytes, { key: publicKey, dsaEncoding: 'der' }, signature)) {
    throw new ProofRefused('bad_signature', 'the signature is not of these bytes by this key');
  }

  const payload = openEnvelope(signedBytes);
  checkMembers(payload, expected);

  const expiresAt = expected[EXPIRY_MEMBER[expected.type] ?? ''];
  if (typeof expiresAt !== 'number' || expiresAt <= now) {
    throw new ProofRefused('expired', 'the challenge or token has expired');
  }
}

/**
 * The payload inside the signed bytes. The bytes must be the one canonical encoding (keys sorted,
 * no white space), or two readers could read different things: `{"a":1,"a":2}` has two meanings.
 *
 * @param {Buffer} signedBytes
 * @returns {Record<string, unknown>}
 */
function openEnvelope(signedBytes) {
  let envelope;
  try {
    envelope = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(signedBytes));
  } catch {
    throw new ProofRefused('not_canonical', 'the signed bytes are not UTF-8 JSON');
  }
  if (!Buffer.from(canonicalJson(envelope)).equals(signedBytes)) {
    throw new ProofRefused('not_canonical', 'the signed bytes are not canonical JSON');
  }
  // Without the domain, a signature made for some other purpose might pass for a proof.
  if (!isObject(envelope) || envelope.domain !== DOMAIN) {
    throw new ProofRefused('wrong_domain', `domain is not ${DOMAIN}`);
  }
  if (!isObject(envelope.payload) || Object.keys(envelope).length !== 2) {
    throw new ProofRefused('wrong_member', 'the envelope does not hold domain and payload alone');
  }
  return envelope.payload;
}

/**
 * @param {Record<string, unknown>} payload
 * @param {Payload} expected
 */
function checkMembers(payload, expected) {
  // `type` first: "this is an enrollment proof" says more than "sessionId is missing".
  for (const member of new Set(['type', ...Object.keys(expected), ...Object.keys(payload)])) {
    if (
      !Object.hasOwn(payload, member) ||
      !Object.hasOwn(expected, member) ||
      !isDeepStrictEqual(payload[member], expected[member])
    ) {
      throw new ProofRefused('wrong_member', `${member} is not what this challenge is for`);
    }
  }
}

/**
 * JSON with sorted keys and no white space. JSON.stringify already escapes as the protocol asks;
 * sorting by UTF-16 units is right because all member names are ASCII.
 *
 * @param {unknown} value
 * @returns {string}
 */
function canonicalJson(value) {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join()}]`;
  if (!isObject(value)) return JSON.stringify(value);
  const members = Object.keys(value).sort();
  return `{${members.map((m) => `${JSON.stringify(m)}:${canonicalJson(value[m])}`).join()}}`;
}

/**
 * The public key, if it is a P-256 key in its one DER encoding: the key's SHA-256 is the device's
 * identity, so one key must not have two.
 *
 * @param {unknown} spkiDerBase64
 * @returns {{ publicKey: KeyObject, spkiSha256Base64url: string }}
 */
export function importPublicKey(spkiDerBase64) {
  const der = decodeBase64(spkiDerBase64, 'publicKeySpkiDerBase64');
  let publicKey;
  try {
    publicKey = createPublicKey({ key: der, format: 'der', type: 'spki' });
  } catch {
    throw new ProofRefused('bad_public_key', 'publicKeySpkiDerBase64 is not a public key');
  }
  if (
    publicKey.asymmetricKeyDetails?.namedCurve !== 'prime256v1' ||
    // 91 bytes: a named curve and an uncompressed point.
    der.length !== 91 ||
    !publicKey.export({ format: 'der', type: 'spki' }).equals(der)
  ) {
    throw new ProofRefused('bad_public_key', 'publicKeySpkiDerBase64 is not a P-256 key');
  }
  return { publicKey, spkiSha256Base64url: sha256Base64url(der) };
}

/**
 * Challenges that were handed out and not yet answered, each with what the backend must remember
 * about it. With several backend processes this belongs into a shared store with an atomic
 * "delete and return"; two readers of the same challenge would be a replay.
 *
 * @template Facts
 */
export class Challenges {
  /** @type {Map<string, Facts & { nonce: string, expiresAt: number }>} */
  #open = new Map();

  /**
   * @param {Facts} facts
   * @param {{ now: number, lifetimeSeconds: number }} time
   * @returns {{ challengeId: string, nonce: string, expiresAt: number }}
   */
  issue(facts, { now, lifetimeSeconds }) {
    for (const [id, { expiresAt }] of this.#open) if (expiresAt <= now) this.#open.delete(id);
    const challengeId = `ch_${randomBytes(16).toString('base64url')}`;
    const challenge = { nonce: newNonce(), expiresAt: now + lifetimeSeconds };
    this.#open.set(challengeId, { ...facts, ...challenge });
    return { challengeId, ...challenge };
  }

  /**
   * Returns a challenge once. Whatever the proof turns out to be, the challenge is spent.
   *
   * @param {string} challengeId
   */
  take(challengeId) {
    const challenge = this.#open.get(challengeId);
    if (!challenge || !this.#open.delete(challengeId)) {
      throw new ProofRefused('unknown_challenge', 'the challenge is unknown, or was used before');
    }
    return challenge;
  }
}

/** 32 random bytes, the least that device keys sign. */
export const newNonce = () => randomBytes(32).toString('base64url');

/** @param {import('node:crypto').BinaryLike} data */
export const sha256Base64url = (data) => createHash('sha256').update(data).digest('base64url');

/**
 * Strict: Buffer.from(…, 'base64') skips what it does not understand.
 *
 * @param {unknown} text
 * @param {string} member
 */
function decodeBase64(text, member) {
  const bytes = typeof text === 'string' ? Buffer.from(text, 'base64') : Buffer.alloc(0);
  if (bytes.length === 0 || bytes.toString('base64') !== text) {
    throw new ProofRefused('malformed', `${member} is not canonical base64`);
  }
  return bytes;
}

/** @param {unknown} value @returns {value is Record<string, unknown>} */
const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
