// The rules for the certificate of a TPM's endorsement key, with certificates made by openssl.
import { generateKeyPairSync, X509Certificate, type KeyObject } from 'node:crypto';

import { verifyEndorsementCertificate } from '../../lib/verify/tpm/endorsement-certificate';
import type { PublicArea } from '../../lib/verify/tpm/public-area';
import { CertificateAuthority, type CertificateContents } from '../support/certificate-authority';
import { codeOf } from '../support/proof-fixtures';

/** tcg-kp-EKCertificate. */
const endorsementKeyUsage = 'extendedKeyUsage = 2.23.133.8.1';
const day = 86_400_000;

let ecRoot: CertificateAuthority;
let rsaRoot: CertificateAuthority;
let plain: X509Certificate;

beforeAll(async () => {
  [ecRoot, rsaRoot] = await Promise.all([
    CertificateAuthority.create('ec'),
    CertificateAuthority.create('rsa'),
  ]);
  plain = await issue(ecRoot);
});
afterAll(() => Promise.all([ecRoot.close(), rsaRoot.close()]));

const endorsementKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey;

/** The result of parsePublicArea for an endorsement key. */
function publicAreaOf(key: KeyObject): PublicArea {
  const { x = '', y = '' } = key.export({ format: 'jwk' });
  return {
    type: 'ecc',
    curve: { jwk: 'P-256', openssl: 'prime256v1', coordinateBytes: 32 },
    x: Buffer.from(x, 'base64url'),
    y: Buffer.from(y, 'base64url'),
    bytes: Buffer.alloc(0),
    nameHash: { name: 'sha256', bytes: 32 },
    attributes: 0,
    authPolicy: Buffer.alloc(0),
    symmetricKeyBits: 128,
    scheme: 0x10,
  };
}

function check(
  certificate: X509Certificate | Buffer | null,
  root: CertificateAuthority,
  { intermediates = [] as X509Certificate[], now = new Date() } = {},
): X509Certificate {
  const der = certificate instanceof X509Certificate ? certificate.raw : certificate;
  const trust = { roots: [root.certificate], intermediates };
  return verifyEndorsementCertificate(der, publicAreaOf(endorsementKey), trust, now);
}

const issue = (root: CertificateAuthority, contents: CertificateContents = {}) =>
  root.issue(endorsementKey, contents);

const pss = (hash: string, ...more: string[]) => [
  `-${hash}`,
  ...['-sigopt', 'rsa_padding_mode:pss'],
  ...more.flatMap((option) => ['-sigopt', option]),
];

describe('an endorsement key certificate is accepted', () => {
  test.each([
    ['ECDSA with SHA-256', 'ec', ['-sha256']],
    ['ECDSA with SHA-384', 'ec', ['-sha384']],
    ['ECDSA with SHA-512', 'ec', ['-sha512']],
    ['RSASSA-PKCS1-v1_5 with SHA-256', 'rsa', ['-sha256']],
    ['RSASSA-PKCS1-v1_5 with SHA-384', 'rsa', ['-sha384']],
    ['RSASSA-PKCS1-v1_5 with SHA-512', 'rsa', ['-sha512']],
    ['RSASSA-PSS with SHA-256', 'rsa', pss('sha256')],
    ['RSASSA-PSS with SHA-512', 'rsa', pss('sha512')],
  ] as const)('signed by %s', async (_name, type, signature) => {
    const root = type === 'ec' ? ecRoot : rsaRoot;
    const certificate = await issue(root, { signature: [...signature] });
    expect(check(certificate, root).raw).toEqual(certificate.raw);
  });

  test('with the purpose of endorsement keys', async () => {
    const certificate = await issue(ecRoot, { extensions: [endorsementKeyUsage] });
    expect(check(certificate, ecRoot).raw).toEqual(certificate.raw);
  });

  test('with trailing padding, as in NV memory', () => {
    const padded = Buffer.concat([plain.raw, Buffer.alloc(100, 0xff)]);
    expect(check(padded, ecRoot).raw).toEqual(plain.raw);
  });

  test('that leads to the root through an intermediate authority', async () => {
    const between = await ecRoot.issueAuthority();
    const certificate = await issue(between);
    const intermediates = [between.certificate];
    expect(check(certificate, ecRoot, { intermediates }).raw).toEqual(certificate.raw);
  });

  test('that names a weak algorithm elsewhere than for its own signature', async () => {
    const sha1WithRsa = 'DER:06:09:2a:86:48:86:f7:0d:01:01:05';
    const certificate = await issue(ecRoot, { extensions: [`1.2.3.4 = ${sha1WithRsa}`] });
    expect(check(certificate, ecRoot).raw).toEqual(certificate.raw);
  });
});

describe('endorsement_certificate_untrusted: refused is a certificate', () => {
  const untrusted = 'endorsement_certificate_untrusted';

  test.each([
    ['MD5', 'rsa', ['-md5']],
    ['RSASSA-PKCS1-v1_5 with SHA-1', 'rsa', ['-sha1']],
    ['RSASSA-PKCS1-v1_5 with SHA-224', 'rsa', ['-sha224']],
    ['RSASSA-PSS with SHA-1', 'rsa', pss('sha1')],
    ['ECDSA with SHA-1', 'ec', ['-sha1']],
    ['ECDSA with SHA-224', 'ec', ['-sha224']],
  ] as const)('signed by %s', async (_name, type, signature) => {
    const root = type === 'ec' ? ecRoot : rsaRoot;
    const certificate = await issue(root, { signature: [...signature] });
    expect(await codeOf(() => check(certificate, root))).toBe(untrusted);
  });

  test('whose intermediate authority is certified by SHA-1', async () => {
    const between = await rsaRoot.issueAuthority({ signature: pss('sha1') });
    const intermediates = [between.certificate];
    const certificate = await issue(between);
    expect(await codeOf(() => check(certificate, rsaRoot, { intermediates }))).toBe(untrusted);
  });

  test('whose issuer is no certification authority', async () => {
    const between = await ecRoot.issueAuthority({ extensions: ['basicConstraints = CA:false'] });
    const intermediates = [between.certificate];
    const certificate = await issue(between);
    expect(await codeOf(() => check(certificate, ecRoot, { intermediates }))).toBe(untrusted);
  });

  test('of another root with the same name', async () => {
    const impostor = await CertificateAuthority.create('ec');
    const certificate = await issue(impostor);
    await impostor.close();
    expect(await codeOf(() => check(certificate, ecRoot))).toBe(untrusted);
  });

  test('whose intermediate authority has expired', async () => {
    const between = await ecRoot.issueAuthority({ days: 1 });
    const intermediates = [between.certificate];
    const certificate = await issue(between);
    const now = new Date(Date.now() + 2 * day);
    expect(await codeOf(() => check(certificate, ecRoot, { intermediates, now }))).toBe(untrusted);
  });

  test('with six authorities between it and the root', async () => {
    const intermediates: X509Certificate[] = [];
    let authority = ecRoot;
    for (let index = 0; index < 6; index += 1) {
      authority = await authority.issueAuthority();
      intermediates.push(authority.certificate);
    }
    const certificate = await issue(authority);
    expect(await codeOf(() => check(certificate, ecRoot, { intermediates }))).toBe(untrusted);
  });
});

describe('endorsement_certificate_invalid: refused is a certificate', () => {
  const invalid = 'endorsement_certificate_invalid';

  test('that has expired', async () => {
    const now = new Date(Date.now() + 31 * day);
    expect(await codeOf(() => check(plain, ecRoot, { now }))).toBe(invalid);
  });

  test('that is not valid yet', async () => {
    const now = new Date(Date.now() - day);
    expect(await codeOf(() => check(plain, ecRoot, { now }))).toBe(invalid);
  });

  test('of a certification authority', async () => {
    const certificate = await issue(ecRoot, { extensions: ['basicConstraints = CA:true'] });
    expect(await codeOf(() => check(certificate, ecRoot))).toBe(invalid);
  });

  test('for TLS servers', async () => {
    const certificate = await issue(ecRoot, { extensions: ['extendedKeyUsage = serverAuth'] });
    expect(await codeOf(() => check(certificate, ecRoot))).toBe(invalid);
  });

  test('that is no certificate', async () => {
    expect(await codeOf(() => check(Buffer.from('3003020101', 'hex'), ecRoot))).toBe(invalid);
  });

  test('that is truncated', async () => {
    expect(await codeOf(() => check(plain.raw.subarray(0, -1), ecRoot))).toBe(invalid);
  });

  test('of more than 8192 bytes', async () => {
    const long = Buffer.concat([plain.raw, Buffer.alloc(8193 - plain.raw.length)]);
    expect(await codeOf(() => check(long, ecRoot))).toBe(invalid);
  });
});

test('endorsement_certificate_mismatch: refused is the certificate of another key', async () => {
  const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey;
  const certificate = await ecRoot.issue(other);
  expect(await codeOf(() => check(certificate, ecRoot))).toBe('endorsement_certificate_mismatch');
});

test('endorsement_certificate_missing: refused is an absent certificate', async () => {
  expect(await codeOf(() => check(null, ecRoot))).toBe('endorsement_certificate_missing');
});
