import { createHash, createPublicKey, type JsonWebKeyInput, type KeyObject } from 'node:crypto';

import { TPM_ALG, tpmCurve, tpmHash, type TpmCurve, type TpmHash } from './algorithms';
import { TpmReader } from './reader';

/** TPMA_OBJECT (TPM 2.0 Part 2, section 8.3), the bits that matter here. */
export const OBJECT_ATTRIBUTE = {
  fixedTPM: 1 << 1,
  fixedParent: 1 << 4,
  sensitiveDataOrigin: 1 << 5,
  userWithAuth: 1 << 6,
  restricted: 1 << 16,
  decrypt: 1 << 17,
  sign: 1 << 18,
} as const;

interface CommonPublicArea {
  /** Marshalled TPMT_PUBLIC. */
  bytes: Buffer;
  nameHash: TpmHash;
  /** TPMA_OBJECT. */
  attributes: number;
  authPolicy: Buffer;
  /** The key size in bits of the AES-CFB that protects its children; null for a key without one. */
  symmetricKeyBits: number | null;
  /** TPM_ALG_ID of its signing or encryption scheme; TPM_ALG_NULL for one that leaves the choice to commands. */
  scheme: number;
}

export interface EccPublicArea extends CommonPublicArea {
  type: 'ecc';
  curve: TpmCurve;
  /** Big-endian, padded to the curve's size. */
  x: Buffer;
  y: Buffer;
}

export interface RsaPublicArea extends CommonPublicArea {
  type: 'rsa';
  bits: number;
  exponent: number;
  modulus: Buffer;
}

/** A key's public area (TPMT_PUBLIC, TPM 2.0 Part 2, section 12.2.4). */
export type PublicArea = EccPublicArea | RsaPublicArea;

/**
 * Parses a marshalled TPMT_PUBLIC of an ECC or RSA key.
 *
 * @param what names the area in messages
 * @throws DeviceKeyVerificationError `attestation_malformed`
 */
export function parsePublicArea(bytes: Buffer, what: string): PublicArea {
  const reader = new TpmReader(bytes, what);
  const type = reader.uint16();
  if (type !== TPM_ALG.ECC && type !== TPM_ALG.RSA) {
    throw reader.malformed('must be that of an ECC or RSA key');
  }
  const nameHash = tpmHash(reader.uint16());
  if (!nameHash) throw reader.malformed('must have SHA-256, SHA-384 or SHA-512 as name algorithm');
  const common = {
    bytes,
    nameHash,
    attributes: reader.uint32(),
    authPolicy: reader.sized(64),
    symmetricKeyBits: readSymmetric(reader),
    scheme: readScheme(reader),
  };
  const area = type === TPM_ALG.ECC ? readEcc(reader, common) : readRsa(reader, common);
  reader.end();
  return area;
}

/** The object's name: TPM_ALG_ID of the hash and the hash of the area (TPM 2.0 Part 1, section 16). */
export function nameOf(area: PublicArea): Buffer {
  const digest = createHash(area.nameHash.name).update(area.bytes).digest();
  return Buffer.concat([area.bytes.subarray(2, 4), digest]);
}

/** The key as `node:crypto` has it; undefined when the numbers are no key, such as a point off the curve. */
export function publicKeyOf(area: PublicArea): KeyObject | undefined {
  const jwk =
    area.type === 'ecc'
      ? { kty: 'EC', crv: area.curve.jwk, x: base64Url(area.x), y: base64Url(area.y) }
      : { kty: 'RSA', n: base64Url(area.modulus), e: base64Url(exponentBytes(area.exponent)) };
  const key = { __proto__: null, ...jwk };
  try {
    return createPublicKey({ __proto__: null, key, format: 'jwk' } as JsonWebKeyInput);
  } catch {
    return undefined;
  }
}

export function hasAttributes(area: PublicArea, set: number, clear = 0): boolean {
  return (area.attributes & set) === set && (area.attributes & clear) === 0;
}

function readSymmetric(reader: TpmReader): number | null {
  const algorithm = reader.uint16();
  if (algorithm === TPM_ALG.NULL) return null;
  const keyBits = reader.uint16();
  const mode = reader.uint16();
  if (algorithm !== TPM_ALG.AES || mode !== TPM_ALG.CFB || ![128, 192, 256].includes(keyBits)) {
    throw reader.malformed('must have AES in CFB mode, or nothing, as symmetric algorithm');
  }
  return keyBits;
}

function readScheme(reader: TpmReader): number {
  const scheme = reader.uint16();
  switch (scheme) {
    case TPM_ALG.NULL:
    case TPM_ALG.RSAES:
      return scheme;
    case TPM_ALG.ECDSA:
    case TPM_ALG.RSASSA:
    case TPM_ALG.RSAPSS:
    case TPM_ALG.OAEP:
      reader.uint16(); // the scheme's hash
      return scheme;
    default:
      throw reader.malformed('has a scheme that this verifier does not know');
  }
}

function readEcc(reader: TpmReader, common: CommonPublicArea): EccPublicArea {
  const curve = tpmCurve(reader.uint16());
  if (!curve) throw reader.malformed('must be on the curve P-256 or P-384');
  if (reader.uint16() !== TPM_ALG.NULL)
    throw reader.malformed('must have no key derivation scheme');
  const x = readCoordinate(reader, curve);
  return { ...common, type: 'ecc', curve, x, y: readCoordinate(reader, curve) };
}

/** TPMs differ in whether they write leading zeros. */
function readCoordinate(reader: TpmReader, { coordinateBytes }: TpmCurve): Buffer {
  const value = reader.sized(coordinateBytes);
  return Buffer.concat([Buffer.alloc(coordinateBytes - value.length), value]);
}

function readRsa(reader: TpmReader, common: CommonPublicArea): RsaPublicArea {
  const bits = reader.uint16();
  // Zero stands for the usual exponent (TPM 2.0 Part 2, section 12.2.3.5).
  const exponent = reader.uint32() || 65_537;
  const modulus = reader.sized(512);
  if (bits < 2048 || bits % 8 !== 0 || modulus.length !== bits / 8 || (modulus[0] ?? 0) < 0x80) {
    throw reader.malformed('must have an RSA modulus of its stated size, 2048 bits or more');
  }
  return { ...common, type: 'rsa', bits, exponent, modulus };
}

function exponentBytes(exponent: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(exponent);
  return bytes.subarray(bytes.findIndex((byte) => byte !== 0));
}

function base64Url(bytes: Buffer): string {
  return bytes.toString('base64url');
}
