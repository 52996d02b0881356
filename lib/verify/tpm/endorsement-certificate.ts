import { X509Certificate, type KeyObject } from 'node:crypto';

import { ownMembers } from '../../own';
import { DeviceKeyVerificationError } from '../error';
import { publicKeyOf, type PublicArea } from './public-area';
import { hasStrongSignature } from './signature-algorithm';

/** Longer chains than any TPM maker has. */
const MAX_CHAIN_LENGTH = 6;
const MAX_CERTIFICATE_BYTES = 8192;

/** tcg-kp-EKCertificate (TCG EK Credential Profile, section 3.2.16). */
const EK_CERTIFICATE_USAGE = '2.23.133.8.1';

/** Certificates that the backend trusts, and those between them and the TPMs. */
export interface EndorsementTrust {
  /** The TPM makers' root certificates. */
  roots: readonly X509Certificate[];
  /** Certificates between the roots and the TPMs'; none of them is trusted by being here. */
  intermediates?: readonly X509Certificate[] | undefined;
}

/**
 * Checks that the certificate is one of `endorsementKey`, and that a chain leads from it to a root. A chain
 * holds when each certificate is signed by the next with SHA-256, SHA-384 or SHA-512, all are in force at
 * `now`, and each issuer is a certification authority. The signature of the root is not looked at.
 *
 * Not checked: revocation, name constraints and certificate policies. A backend that keeps revocation lists
 * looks up the returned certificate's serial number.
 *
 * @param der DER, as the TPM's NV memory holds it: bytes after the certificate are padding. Null where the
 *   client sent none.
 * @throws DeviceKeyVerificationError `endorsement_certificate_missing` without a certificate,
 *   `endorsement_certificate_mismatch` for one of another key, `endorsement_certificate_invalid` for one that
 *   cannot be used, `endorsement_certificate_untrusted` when no chain leads to a root
 */
export function verifyEndorsementCertificate(
  der: Buffer | null,
  endorsementKey: PublicArea,
  trust: EndorsementTrust,
  now: Date,
): X509Certificate {
  const { roots = [], intermediates = [] } = ownMembers(trust);
  if (!der) {
    throw new DeviceKeyVerificationError(
      'endorsement_certificate_missing',
      'the client must send a certificate of its endorsement key',
    );
  }
  const certificate = parseCertificate(der);
  if (!isFor(certificate, endorsementKey)) {
    throw new DeviceKeyVerificationError(
      'endorsement_certificate_mismatch',
      'the certificate must be that of the endorsement key which comes with it',
    );
  }
  if (certificate.ca) throw invalid('must not be that of a certification authority');
  if (!isAllowedUsage(certificate.keyUsage)) {
    throw invalid('must be issued for endorsement keys (extended key usage 2.23.133.8.1)');
  }
  if (!isInForce(certificate, now)) throw invalid('must be in force');
  if (!leadsToRoot(certificate, roots, intermediates, now, MAX_CHAIN_LENGTH)) {
    throw new DeviceKeyVerificationError(
      'endorsement_certificate_untrusted',
      "the endorsement key's certificate must lead to one of the roots, by signatures with SHA-256, SHA-384 or SHA-512",
    );
  }
  return certificate;
}

function parseCertificate(der: Buffer): X509Certificate {
  if (der.length > MAX_CERTIFICATE_BYTES) {
    throw invalid(`must have at most ${MAX_CERTIFICATE_BYTES} bytes`);
  }
  try {
    return new X509Certificate(withoutPadding(der));
  } catch (cause) {
    throw new DeviceKeyVerificationError(
      'endorsement_certificate_invalid',
      'each endorsement key certificate must be an X.509 certificate in DER',
      { cause },
    );
  }
}

/** The first DER element. The NV index of a certificate can be larger than the certificate. */
function withoutPadding(der: Buffer): Buffer {
  // 0x82: a length in two bytes. No certificate is shorter than 256 bytes, none here longer than 65,535.
  if (der.length < 4 || der[0] !== 0x30 || der[1] !== 0x82) return der;
  return der.subarray(0, 4 + der.readUInt16BE(2));
}

function isFor(certificate: X509Certificate, endorsementKey: PublicArea): boolean {
  const key = publicKeyOf(endorsementKey);
  if (!key) return false;
  const spki = key.export({ format: 'der', type: 'spki' });
  return publicKeyIn(certificate).export({ format: 'der', type: 'spki' }).equals(spki);
}

/** Node.js decodes the key when it is first asked for, and throws where OpenSSL does not know its kind. */
function publicKeyIn(certificate: X509Certificate): KeyObject {
  try {
    return certificate.publicKey;
  } catch (cause) {
    throw new DeviceKeyVerificationError(
      'endorsement_certificate_invalid',
      "the endorsement key's certificate must hold a public key of a known kind",
      { cause },
    );
  }
}

function leadsToRoot(
  certificate: X509Certificate,
  roots: readonly X509Certificate[],
  intermediates: readonly X509Certificate[],
  now: Date,
  length: number,
): boolean {
  if (length === 0 || !hasStrongSignature(certificate.raw)) return false;
  const issued = (issuer: X509Certificate) =>
    issuer.ca &&
    isInForce(issuer, now) &&
    certificate.checkIssued(issuer) &&
    certificate.verify(issuer.publicKey);
  return (
    roots.some(issued) ||
    intermediates.some(
      (issuer) => issued(issuer) && leadsToRoot(issuer, roots, intermediates, now, length - 1),
    )
  );
}

function isInForce(certificate: X509Certificate, now: Date): boolean {
  return new Date(certificate.validFrom) <= now && now <= new Date(certificate.validTo);
}

/** Node.js leaves `keyUsage` undefined where there is no such extension, whatever its type says. */
function isAllowedUsage(usages: string[] | undefined): boolean {
  return usages === undefined || usages.includes(EK_CERTIFICATE_USAGE);
}

function invalid(problem: string): DeviceKeyVerificationError {
  return new DeviceKeyVerificationError(
    'endorsement_certificate_invalid',
    `the endorsement key's certificate ${problem}`,
  );
}
