import { createPublicKey, type KeyObject, type JsonWebKeyInput } from 'node:crypto';

import { decodeBase64 } from './base64';
import { DeviceKeyVerificationError } from './error';

// RFC 5480 §2: SEQUENCE { SEQUENCE { id-ecPublicKey, secp256r1 }, BIT STRING }, up to the point. For one
// curve and one point format these bytes are constant, so they are compared and not parsed.
const EC_PUBLIC_KEY_OID = Buffer.from('06072a8648ce3d0201', 'hex');
const P256_OID = Buffer.from('06082a8648ce3d030107', 'hex');
const ALGORITHM = Buffer.concat([Buffer.of(0x30, 0x13), EC_PUBLIC_KEY_OID, P256_OID]);
const UNCOMPRESSED = Buffer.concat([Buffer.of(0x30, 0x59), ALGORITHM, Buffer.of(3, 0x42, 0, 4)]);
const COMPRESSED = Buffer.concat([Buffer.of(0x30, 0x39), ALGORITHM, Buffer.of(3, 0x22, 0)]);
const SPKI_BYTES = 91;

/**
 * Imports a public key in the only accepted form: the 91-byte SubjectPublicKeyInfo of an uncompressed
 * point on the named curve P-256.
 *
 * Passes nothing else to OpenSSL: its decoder also accepts explicit curve parameters, which more than one
 * attack has used (CVE-2020-0601 in another library, CVE-2022-0778).
 */
export function importPublicKey(publicKeySpkiDerBase64: string): KeyObject {
  const spki = decodeBase64(publicKeySpkiDerBase64);
  if (spki === undefined) {
    throw new DeviceKeyVerificationError(
      'public_key_base64_invalid',
      'publicKeySpkiDerBase64 must be canonical base64 with padding',
    );
  }
  if (spki.length !== SPKI_BYTES || !startsWith(spki, UNCOMPRESSED)) throw unacceptable(spki);
  try {
    // As a JWK: OpenSSL 3 takes twice as long to decode the SPKI. Both check that the point is on the curve.
    const key = {
      __proto__: null,
      kty: 'EC',
      crv: 'P-256',
      x: spki.toString('base64url', UNCOMPRESSED.length, UNCOMPRESSED.length + 32),
      y: spki.toString('base64url', UNCOMPRESSED.length + 32),
    };
    return createPublicKey({ __proto__: null, key, format: 'jwk' } as JsonWebKeyInput);
  } catch (cause) {
    throw new DeviceKeyVerificationError(
      'public_key_not_on_curve',
      'publicKeySpkiDerBase64 must hold a point of the curve P-256',
      { cause },
    );
  }
}

/** An error that names the kind of the given key, as far as its first bytes show it. */
function unacceptable(spki: Buffer): DeviceKeyVerificationError {
  if (startsWith(spki, UNCOMPRESSED) && spki.length > SPKI_BYTES) {
    return new DeviceKeyVerificationError(
      'public_key_trailing_bytes',
      `publicKeySpkiDerBase64 must end with its key, after ${SPKI_BYTES} bytes`,
    );
  }
  if (startsWith(spki, COMPRESSED)) {
    return new DeviceKeyVerificationError(
      'public_key_compressed',
      'publicKeySpkiDerBase64 must hold an uncompressed point',
    );
  }
  const algorithm = algorithmIdentifier(spki);
  if (algorithm !== undefined && !startsWith(algorithm, ALGORITHM.subarray(2))) {
    return new DeviceKeyVerificationError(
      'public_key_unsupported',
      'publicKeySpkiDerBase64 must hold an elliptic curve key on the named curve P-256',
    );
  }
  return new DeviceKeyVerificationError(
    'public_key_malformed',
    `publicKeySpkiDerBase64 must be the ${SPKI_BYTES}-byte DER SubjectPublicKeyInfo of a P-256 key`,
  );
}

/** The bytes after the two SEQUENCE headers if they are an object identifier. Ignores the lengths. */
function algorithmIdentifier(spki: Buffer): Buffer | undefined {
  const outer = skipSequenceHeader(spki);
  const inner = outer && skipSequenceHeader(outer);
  return inner?.[0] === 0x06 ? inner : undefined;
}

function skipSequenceHeader(der: Buffer): Buffer | undefined {
  const length = der[1];
  if (der[0] !== 0x30 || length === undefined) return undefined;
  return der.subarray(length < 0x80 ? 2 : 2 + (length & 0x7f));
}

function startsWith(bytes: Buffer, prefix: Buffer): boolean {
  return bytes.subarray(0, prefix.length).equals(prefix);
}
