/** TPM_ALG_ID (TPM 2.0 Part 2, section 6.3), as far as this verifier knows them. */
export const TPM_ALG = {
  RSA: 0x0001,
  AES: 0x0006,
  SHA256: 0x000b,
  SHA384: 0x000c,
  SHA512: 0x000d,
  NULL: 0x0010,
  RSASSA: 0x0014,
  RSAES: 0x0015,
  RSAPSS: 0x0016,
  OAEP: 0x0017,
  ECDSA: 0x0018,
  ECC: 0x0023,
  CFB: 0x0043,
} as const;

/** A hash that TPMs use for names and key derivation. SHA-1 is not accepted. */
export interface TpmHash {
  /** As `node:crypto` calls it. */
  name: 'sha256' | 'sha384' | 'sha512';
  bytes: number;
}

const HASHES = new Map<number, TpmHash>([
  [TPM_ALG.SHA256, { name: 'sha256', bytes: 32 }],
  [TPM_ALG.SHA384, { name: 'sha384', bytes: 48 }],
  [TPM_ALG.SHA512, { name: 'sha512', bytes: 64 }],
]);

export function tpmHash(algorithm: number): TpmHash | undefined {
  return HASHES.get(algorithm);
}

/** A curve of TPM_ECC_CURVE (TPM 2.0 Part 2, section 6.4). */
export interface TpmCurve {
  /** As JWK calls it. */
  jwk: 'P-256' | 'P-384';
  /** As OpenSSL calls it. */
  openssl: 'prime256v1' | 'secp384r1';
  coordinateBytes: number;
}

const CURVES = new Map<number, TpmCurve>([
  [0x0003, { jwk: 'P-256', openssl: 'prime256v1', coordinateBytes: 32 }],
  [0x0004, { jwk: 'P-384', openssl: 'secp384r1', coordinateBytes: 48 }],
]);

export function tpmCurve(id: number): TpmCurve | undefined {
  return CURVES.get(id);
}
