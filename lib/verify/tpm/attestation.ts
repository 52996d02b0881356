import { verify, X509Certificate } from 'node:crypto';

import type { DeviceKeyAttestation } from '../../../types/extensions';
import { copyOfArray, readArgument } from '../arguments';
import { decodeBase64 } from '../base64';
import { DeviceKeyVerificationError, type DeviceKeyVerificationCode } from '../error';
import { verificationKey } from '../pool';
import { importPublicKey } from '../public-key';
import { parseCertifyStatement, parseEcdsaSignature } from './attest';
import { verifyEndorsementCertificate, type EndorsementTrust } from './endorsement-certificate';
import {
  hasAttributes,
  nameOf,
  OBJECT_ATTRIBUTE,
  parsePublicArea,
  publicKeyOf,
  type PublicArea,
} from './public-area';
import { TPM_ALG } from './algorithms';

export type { EndorsementTrust };

/** What the backend expects of an attestation, from its own records. */
export interface ExpectedDeviceKeyAttestation {
  /** The challenge that the backend issued: 32 to 64 random bytes in unpadded base64url. */
  challenge: string;
  /** The key being attested. */
  publicKeySpkiDerBase64: string;
}

/** What an attestation says once its signature and structures are checked. */
export interface CheckedAttestation {
  /** The name of the attestation key, which TPM2_ActivateCredential proves to be in the TPM. */
  attestationKeyName: Buffer;
  endorsementKey: PublicArea;
  /** DER SubjectPublicKeyInfo of `endorsementKey`. */
  endorsementKeySpki: Buffer;
  /** Null when the backend gave no roots: then the endorsement key is only pinned. */
  endorsementCertificate: X509Certificate | null;
  /** The vendor's number for the TPM's firmware. */
  firmwareVersion: bigint;
  resetCount: number;
  restartCount: number;
  clockSafe: boolean;
}

/** As native/protocol/decode.cc has it. */
const MIN_CHALLENGE_BYTES = 32;
const MAX_CHALLENGE_BYTES = 64;
const MAX_PUBLIC_AREA_BYTES = 1024;
const MAX_ENDORSEMENT_KEYS = 8;

/**
 * Checks everything in an attestation that can be checked without asking the TPM again: that a restricted
 * key of a TPM certified, with this challenge, the very key that is being enrolled; that this key can never
 * leave its TPM; and that a certificate of the TPM's maker is for one of its endorsement keys.
 *
 * It does not show that the attestation key is in the TPM of the endorsement key: the credential exchange
 * does (`TpmAttestationExchange`).
 *
 * @param attestation as the client sent it; trusted in nothing, its shape included
 * @param trust the roots to check the endorsement key's certificate against; null to accept an endorsement
 *   key without a certificate, which then identifies a TPM and proves nothing about its maker
 * @throws DeviceKeyVerificationError
 * @throws TypeError for a challenge that `attestDeviceKey` would not have taken, for a trust that has no
 *   lists of certificates, and for an invalid date
 */
export function verifyTpmKeyAttestation(
  attestation: DeviceKeyAttestation,
  expected: ExpectedDeviceKeyAttestation,
  trust: EndorsementTrust | null,
  now: Date,
): CheckedAttestation {
  const { challenge, publicKeySpkiDerBase64 = '' } = readArgument(expected, 'expected');
  const issued = decodeChallenge(challenge);
  const usableTrust = trust === null ? null : trustOf(trust);
  requireDate(now);
  const parts = decodeAttestation(attestation);
  const statement = parseCertifyStatement(parts.attest);
  const { hash, rs } = parseEcdsaSignature(parts.signature);
  const key = parsePublicArea(parts.keyPublicArea, 'keyPublicArea');
  const attestationKey = parsePublicArea(
    parts.attestationKeyPublicArea,
    'attestationKeyPublicArea',
  );

  requireAttestationKey(attestationKey);
  const signer = publicKeyOf(attestationKey);
  if (!signer || !verify(hash.name, parts.attest, verificationKey(signer, 'ieee-p1363'), rs)) {
    throw new DeviceKeyVerificationError(
      'attestation_signature_mismatch',
      'signature must be one of attest by the attestation key',
    );
  }
  if (!statement.extraData.equals(issued)) {
    throw new DeviceKeyVerificationError(
      'attestation_challenge_mismatch',
      'attest must contain the challenge that was issued',
    );
  }
  if (!statement.name.equals(nameOf(key))) {
    throw new DeviceKeyVerificationError(
      'attestation_name_mismatch',
      'keyPublicArea must be that of the key which attest certifies',
    );
  }
  requireDeviceKey(key, publicKeySpkiDerBase64);

  const { endorsementKey, certificate } = chooseEndorsementKey(
    parts.endorsementKeys,
    usableTrust,
    now,
  );
  return {
    attestationKeyName: nameOf(attestationKey),
    endorsementKey,
    endorsementKeySpki: spkiOf(endorsementKey, 'endorsement_key_unacceptable'),
    endorsementCertificate: certificate,
    firmwareVersion: statement.firmwareVersion,
    resetCount: statement.resetCount,
    restartCount: statement.restartCount,
    clockSafe: statement.clockSafe,
  };
}

function trustOf(trust: EndorsementTrust): EndorsementTrust {
  const given = readArgument(trust, 'trust');
  const listOf = (name: 'roots' | 'intermediates') => {
    const list = copyOfArray(given[name] ?? []);
    // Of another realm (a vm context) they are no instances, and are looked at where they are used.
    if (!list?.every((certificate) => typeof certificate === 'object' && certificate !== null)) {
      throw new TypeError(`trust.${name} must be an array of X509Certificate`);
    }
    return list as X509Certificate[];
  };
  return { roots: listOf('roots'), intermediates: listOf('intermediates') };
}

function requireDate(now: unknown): void {
  try {
    if (!Number.isNaN(Date.prototype.getTime.call(now))) return;
  } catch {
    // Not a Date of any realm.
  }
  throw new TypeError('now must be a valid Date');
}

/** An empty challenge would let in any statement that was made without one. */
function decodeChallenge(challenge: unknown): Buffer {
  const bytes = typeof challenge === 'string' ? Buffer.from(challenge, 'base64url') : undefined;
  if (
    !bytes ||
    bytes.length < MIN_CHALLENGE_BYTES ||
    bytes.length > MAX_CHALLENGE_BYTES ||
    bytes.toString('base64url') !== challenge
  ) {
    throw new TypeError(
      `expected.challenge must be ${MIN_CHALLENGE_BYTES} to ${MAX_CHALLENGE_BYTES} bytes in unpadded base64url`,
    );
  }
  return bytes;
}

function spkiOf(area: PublicArea, code: DeviceKeyVerificationCode): Buffer {
  const key = publicKeyOf(area);
  if (!key) throw new DeviceKeyVerificationError(code, 'the key must be a point of its curve');
  return key.export({ format: 'der', type: 'spki' });
}

/** A restricted key signs nothing that the TPM did not make itself, so its statements can be believed. */
function requireAttestationKey(area: PublicArea): void {
  const { fixedTPM, fixedParent, sensitiveDataOrigin, restricted, sign, decrypt } =
    OBJECT_ATTRIBUTE;
  const set = fixedTPM | fixedParent | sensitiveDataOrigin | restricted | sign;
  if (area.type !== 'ecc' || area.curve.jwk !== 'P-256' || area.scheme !== TPM_ALG.ECDSA) {
    throw unacceptableAttestationKey('be an ECDSA key on P-256');
  }
  if (!hasAttributes(area, set, decrypt)) {
    throw unacceptableAttestationKey(
      'have fixedTPM, fixedParent, sensitiveDataOrigin, restricted and sign, and not decrypt',
    );
  }
}

function unacceptableAttestationKey(what: string): DeviceKeyVerificationError {
  return new DeviceKeyVerificationError(
    'attestation_key_unacceptable',
    `the attestation key must ${what}`,
  );
}

function requireDeviceKey(area: PublicArea, publicKeySpkiDerBase64: string): void {
  const { fixedTPM, fixedParent, sensitiveDataOrigin, restricted, sign, decrypt } =
    OBJECT_ATTRIBUTE;
  const attested = spkiOf(area, 'attested_key_mismatch');
  const enrolled = importPublicKey(publicKeySpkiDerBase64).export({ format: 'der', type: 'spki' });
  if (!attested.equals(enrolled)) {
    throw new DeviceKeyVerificationError(
      'attested_key_mismatch',
      'the attested key must be the one that is being enrolled',
    );
  }
  if (
    !hasAttributes(area, fixedTPM | fixedParent | sensitiveDataOrigin | sign, decrypt | restricted)
  ) {
    throw new DeviceKeyVerificationError(
      'attested_key_unacceptable',
      'the attested key must have fixedTPM, fixedParent, sensitiveDataOrigin and sign, and neither decrypt nor restricted',
    );
  }
}

interface DecodedEndorsementKey {
  area: PublicArea;
  certificate: Buffer | null;
}

function chooseEndorsementKey(
  keys: readonly DecodedEndorsementKey[],
  trust: EndorsementTrust | null,
  now: Date,
): { endorsementKey: PublicArea; certificate: X509Certificate | null } {
  const [first] = keys;
  if (!first) throw malformed('endorsementKeys must not be empty');
  if (trust === null) return { endorsementKey: first.area, certificate: null };
  let failure: unknown;
  for (const { area, certificate } of keys) {
    try {
      return {
        endorsementKey: area,
        certificate: verifyEndorsementCertificate(certificate, area, trust, now),
      };
    } catch (error) {
      // What is wrong with a certificate says more than that another key has none.
      const isMissing =
        error instanceof DeviceKeyVerificationError &&
        error.code === 'endorsement_certificate_missing';
      if (failure === undefined || !isMissing) failure = error;
    }
  }
  throw failure;
}

function decodeAttestation(attestation: DeviceKeyAttestation) {
  const members = objectOf(attestation, 'the attestation');
  if (members['format'] !== 'tpm2') throw malformed('format must be "tpm2"');
  const endorsementKeys = copyOfArray(members['endorsementKeys']);
  if (endorsementKeys === undefined || endorsementKeys.length > MAX_ENDORSEMENT_KEYS) {
    throw malformed(`endorsementKeys must be an array of at most ${MAX_ENDORSEMENT_KEYS}`);
  }
  return {
    attest: decodeBuffer(members, 'attest'),
    signature: decodeBuffer(members, 'signature'),
    keyPublicArea: decodeBuffer(members, 'keyPublicArea'),
    attestationKeyPublicArea: decodeBuffer(members, 'attestationKeyPublicArea'),
    endorsementKeys: endorsementKeys.map((value, index): DecodedEndorsementKey => {
      const name = `endorsementKeys[${index}]`;
      const key = objectOf(value, name);
      const area = decodeBuffer(key, 'publicArea');
      const certificate =
        key['certificate'] === null ? null : decodeBuffer(key, 'certificate', 8192);
      return { area: parsePublicArea(area, `${name}.publicArea`), certificate };
    }),
  };
}

/** A copy of the own members, so that none can change between two looks. */
function objectOf(value: unknown, name: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null) throw malformed(`${name} must be an object`);
  try {
    return { __proto__: null, ...value };
  } catch {
    throw malformed(`${name} must be an object whose members can be read`);
  }
}

function decodeBuffer(
  members: Record<string, unknown>,
  name: string,
  limit = MAX_PUBLIC_AREA_BYTES,
): Buffer {
  const text = members[name];
  const bytes =
    typeof text === 'string' && text.length <= limit * 2 ? decodeBase64(text) : undefined;
  if (!bytes || bytes.length > limit) {
    throw malformed(`${name} must be canonical base64 with padding, of at most ${limit} bytes`);
  }
  return bytes;
}

function malformed(message: string): DeviceKeyVerificationError {
  return new DeviceKeyVerificationError('attestation_malformed', message);
}
