import { verify } from 'node:crypto';

import type { DeviceKeyAlgorithm } from '../../types/v2';
import { ownMembers } from '../own';
import { decodeBase64 } from './base64';
import { DeviceKeyVerificationError } from './error';
import { knownKey, rememberKey } from './known-keys';
import { mayVerifyHere, verificationKey, verifyInPool, type Verification } from './pool';
import { importPublicKey } from './public-key';

export interface DeviceKeySignature {
  /** Canonical base64 of the 91-byte SubjectPublicKeyInfo, from the backend's own record of the key. */
  publicKeySpkiDerBase64: string;
  /** Canonical base64 of the exact bytes that were signed. */
  signedPayloadBase64: string;
  /** Canonical base64 of the DER ECDSA-Sig-Value. */
  signatureDerBase64: string;
  algorithm: DeviceKeyAlgorithm;
}

// SEC 2 §2.4.2: the order n of the base point.
const P256_ORDER = Buffer.from(
  'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551',
  'hex',
);

/**
 * Verifies one signature over exactly the given bytes and returns those bytes.
 *
 * It does not check the meaning of the bytes, nor whether they were used before; for that use
 * {@link verifyDeviceKeyProof}.
 *
 * @throws DeviceKeyVerificationError on every failure, so that no caller can forget to check a result.
 */
export function verifyDeviceKeySignature(signature: DeviceKeySignature): Uint8Array {
  const verification = prepare(signature);
  const { key, signedPayload, der } = verification;
  return conclude(verification, verify('sha256', signedPayload, verificationKey(key), der));
}

/**
 * Like {@link verifyDeviceKeySignature}, but does not block the event loop: many at once run in libuv's
 * pool, in a queue.
 */
export async function verifyDeviceKeySignatureAsync(
  signature: DeviceKeySignature,
): Promise<Uint8Array> {
  if (mayVerifyHere()) return verifyDeviceKeySignature(signature);
  const { verification, holds } = await verifyInPool(() => prepare(signature));
  return conclude(verification, holds);
}

/** Makes every check of a signature except the elliptic curve arithmetic. */
function prepare(signature: DeviceKeySignature): Verification {
  const { algorithm, publicKeySpkiDerBase64, signedPayloadBase64, signatureDerBase64 } =
    readStrings(signature, [
      'publicKeySpkiDerBase64',
      'signedPayloadBase64',
      'signatureDerBase64',
      'algorithm',
    ]);
  // Only compared: the algorithm that a message names never selects one.
  if (algorithm !== 'ecdsa_p256_sha256') {
    throw new DeviceKeyVerificationError(
      'algorithm_unsupported',
      'algorithm must be ecdsa_p256_sha256',
    );
  }
  const key = knownKey(publicKeySpkiDerBase64) ?? importPublicKey(publicKeySpkiDerBase64);
  const signedPayload = decodeBase64(signedPayloadBase64);
  if (signedPayload === undefined) {
    throw new DeviceKeyVerificationError(
      'signed_payload_base64_invalid',
      'signedPayloadBase64 must be canonical base64 with padding',
    );
  }
  const der = decodeBase64(signatureDerBase64);
  if (der === undefined) {
    throw new DeviceKeyVerificationError(
      'signature_base64_invalid',
      'signatureDerBase64 must be canonical base64 with padding',
    );
  }
  requireStrictSignature(der);
  return { publicKeySpkiDerBase64, key, signedPayload, der };
}

function conclude(
  { publicKeySpkiDerBase64, key, signedPayload }: Verification,
  holds: boolean,
): Uint8Array {
  if (!holds) {
    throw new DeviceKeyVerificationError(
      'signature_mismatch',
      'signatureDerBase64 is not a signature of signedPayloadBase64 by this public key',
    );
  }
  rememberKey(publicKeySpkiDerBase64, key);
  return signedPayload;
}

/** The named own members of an object, each of which must be a string. */
export function readStrings<Name extends string>(
  value: unknown,
  names: readonly Name[],
): Record<Name, string> {
  const malformed = (message: string, options?: ErrorOptions) =>
    new DeviceKeyVerificationError('proof_malformed', message, options);
  if (typeof value !== 'object' || value === null) throw malformed('the proof must be an object');
  let members: Partial<Record<Name, unknown>>;
  try {
    members = ownMembers(value);
  } catch (cause) {
    throw malformed('the proof cannot be read', { cause });
  }
  for (const name of names) {
    if (typeof members[name] !== 'string') throw malformed(`${name} must be a string`);
  }
  return members as Record<Name, string>;
}

/**
 * Accepts ECDSA-Sig-Value (RFC 3279 §2.2.3) only in DER, with r and s in [1, n-1].
 *
 * Libraries differ in the BER that they accept and in whether they check the range (CVE-2022-21449), so
 * this checks both. High s is allowed: security chips produce it, and only the nonce must be unique, not
 * the signature.
 */
function requireStrictSignature(der: Buffer): void {
  const malformed = (what: string) =>
    new DeviceKeyVerificationError('signature_malformed', `signatureDerBase64 ${what}`);

  // Two integers of at most 33 bytes keep every length in one byte.
  if (der[0] !== 0x30 || der[1] !== der.length - 2 || der.length > 2 + 0x7f) {
    throw malformed('must be one DER SEQUENCE without trailing bytes');
  }
  let rest = der.subarray(2);
  for (const name of ['r', 's']) {
    const length = rest[1];
    if (rest[0] !== 0x02 || length === undefined || length > 33 || rest.length < 2 + length) {
      throw malformed(`must hold ${name} as a DER INTEGER of at most 33 bytes`);
    }
    const integer = rest.subarray(2, 2 + length);
    rest = rest.subarray(2 + length);
    const [first, second] = integer;
    if (first === undefined) throw malformed(`must not hold an empty ${name}`);
    if (first === 0 && second !== undefined && second < 0x80) {
      throw malformed(`must hold ${name} in its shortest form`);
    }
    if (first >= 0x80) {
      throw new DeviceKeyVerificationError(
        'signature_out_of_range',
        `signatureDerBase64 must hold a positive ${name}`,
      );
    }
    // The shortest form of a positive integer: a leading zero byte precedes a set bit, or is all of it.
    const magnitude = first === 0 ? integer.subarray(1) : integer;
    const tooLarge =
      magnitude.length > P256_ORDER.length ||
      (magnitude.length === P256_ORDER.length && magnitude.compare(P256_ORDER) >= 0);
    if (magnitude.length === 0 || tooLarge) {
      throw new DeviceKeyVerificationError(
        'signature_out_of_range',
        `signatureDerBase64 must hold an ${name} from 1 to the order of P-256 less one`,
      );
    }
  }
  if (rest.length !== 0) throw malformed('must hold r and s and nothing else');
}
