import { DeviceKeyVerificationError } from '../error';
import { TPM_ALG, tpmHash, type TpmHash } from './algorithms';
import { TpmReader } from './reader';

/** TPM_GENERATED_VALUE: restricted keys sign it only in structures that the TPM itself made (Part 2, section 6.2). */
const TPM_GENERATED = 0xff544347;
const TPM_ST_ATTEST_CERTIFY = 0x8017;

/** What TPM2_Certify signs (TPMS_ATTEST, TPM 2.0 Part 2, section 10.12). */
export interface CertifyStatement {
  /** The qualifying data that the caller of TPM2_Certify gave. */
  extraData: Buffer;
  /** The name of the certified key. */
  name: Buffer;
  /** How often the TPM was reset (TPM2_Startup with CLEAR), since it was made or cleared. */
  resetCount: number;
  /** How often it resumed since the last reset. */
  restartCount: number;
  /** False when the TPM's clock may have gone back. */
  clockSafe: boolean;
  /** The vendor's number for the firmware. */
  firmwareVersion: bigint;
}

/**
 * Parses a TPMS_ATTEST of type TPM_ST_ATTEST_CERTIFY.
 *
 * @throws DeviceKeyVerificationError `attestation_malformed`, `attestation_magic_mismatch` or
 *   `attestation_type_mismatch`
 */
export function parseCertifyStatement(bytes: Buffer): CertifyStatement {
  const reader = new TpmReader(bytes, 'attest');
  if (reader.uint32() !== TPM_GENERATED) {
    throw new DeviceKeyVerificationError(
      'attestation_magic_mismatch',
      'attest must begin with TPM_GENERATED_VALUE: no TPM made this statement',
    );
  }
  if (reader.uint16() !== TPM_ST_ATTEST_CERTIFY) {
    throw new DeviceKeyVerificationError(
      'attestation_type_mismatch',
      'attest must be of type TPM_ST_ATTEST_CERTIFY',
    );
  }
  reader.sized(66); // qualifiedSigner: it says where in its hierarchy the attestation key is
  const extraData = reader.sized(66);
  reader.uint64(); // clock, in milliseconds
  const resetCount = reader.uint32();
  const restartCount = reader.uint32();
  const safe = reader.uint8();
  if (safe > 1) throw reader.malformed('must have 0 or 1 as clockInfo.safe');
  const firmwareVersion = reader.uint64();
  const name = reader.sized(66);
  reader.sized(66); // the certified key's qualified name
  reader.end();
  return { extraData, name, resetCount, restartCount, clockSafe: safe === 1, firmwareVersion };
}

/** An ECDSA signature (TPMT_SIGNATURE, TPM 2.0 Part 2, section 11.3.4), r and s of P-256, 32 bytes each. */
export interface EcdsaSignature {
  hash: TpmHash;
  rs: Buffer;
}

/** @throws DeviceKeyVerificationError `attestation_malformed` */
export function parseEcdsaSignature(bytes: Buffer): EcdsaSignature {
  const reader = new TpmReader(bytes, 'signature');
  if (reader.uint16() !== TPM_ALG.ECDSA) throw reader.malformed('must be an ECDSA signature');
  const hash = tpmHash(reader.uint16());
  if (!hash) throw reader.malformed('must be over SHA-256, SHA-384 or SHA-512');
  const rs = Buffer.alloc(64);
  for (const end of [32, 64]) {
    const value = reader.sized(32);
    rs.set(value, end - value.length);
  }
  reader.end();
  return { hash, rs };
}
