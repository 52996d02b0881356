// Attestations that an attacker has changed or invented. Each is refused with a code or still has
// only the TPM's statements. Nothing else is thrown, and nothing takes long.
import { randomBytes, X509Certificate } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import fc from 'fast-check';

import { DeviceKeyStore, type DeviceKeyAttestation } from '../../lib/index';
import {
  DeviceKeyVerificationError,
  InMemoryAttestationStateStore,
  makeTpmCredential,
  TpmAttestationExchange,
  verifyTpmKeyAttestation,
} from '../../lib/verify';
import { parseCertifyStatement, parseEcdsaSignature } from '../../lib/verify/tpm/attest';
import { nameOf, parsePublicArea } from '../../lib/verify/tpm/public-area';
import { codeOf } from '../support/proof-fixtures';
import { SoftwareKeys } from '../support/software-attestation';
import { SoftwareTpm } from '../support/swtpm';

const challenge = randomBytes(32).toString('base64url');

let directory: string;
let tpm: Awaited<ReturnType<typeof SoftwareTpm.startWithCertificates>>;
let store: DeviceKeyStore;
let keyId: string;
let publicKeySpkiDerBase64: string;
let genuine: DeviceKeyAttestation;

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'dk-hostile-'));
  tpm = await SoftwareTpm.startWithCertificates();
  store = DeviceKeyStore.open({ directory, ...tpm.options });
  const account = { accountUserId: 'user-7f3a', clientId: 'laptop' };
  ({ keyId, publicKeySpkiDerBase64 } = await store.create(account));
  genuine = await store.attest({ keyId, challenge });
}, 60_000);

afterAll(async () => {
  await store.close();
  await tpm.stop();
  await rm(directory, { recursive: true });
});

/** Only pins the endorsement key, so that its certificate does not hide what else is accepted. */
const verifyPinned = (attestation: unknown) =>
  verifyTpmKeyAttestation(
    attestation as DeviceKeyAttestation,
    { challenge, publicKeySpkiDerBase64 },
    null,
    new Date(),
  );

/** Rethrows anything but a typed refusal. */
function refusalOf(verification: () => unknown): DeviceKeyVerificationError | undefined {
  try {
    verification();
    return undefined;
  } catch (error) {
    if (error instanceof DeviceKeyVerificationError) return error;
    throw error;
  }
}

const structures = ['attest', 'signature', 'keyPublicArea', 'attestationKeyPublicArea'] as const;
type Structure = (typeof structures)[number];

const bytesOf = (structure: Structure) => Buffer.from(genuine[structure], 'base64');
const withBytes = (structure: Structure, bytes: Uint8Array): DeviceKeyAttestation => ({
  ...genuine,
  [structure]: Buffer.from(bytes).toString('base64'),
});

function* oneByteChanges(bytes: Buffer): Generator<Buffer> {
  for (let offset = 0; offset < bytes.length; offset += 1) {
    for (const mask of [1, 2, 4, 8, 16, 32, 64, 128, 255]) {
      const changed = Buffer.from(bytes);
      changed.writeUInt8(changed.readUInt8(offset) ^ mask, offset);
      yield changed;
    }
  }
}

describe('one byte changed', () => {
  test.each(['attest', 'signature', 'keyPublicArea'] as const)(
    'in %s: refused, wherever it is',
    (structure) => {
      for (const changed of oneByteChanges(bytesOf(structure))) {
        const refusal = refusalOf(() => verifyPinned(withBytes(structure, changed)));
        expect({ changed: changed.toString('hex'), code: refusal?.code }).toMatchObject({
          code: expect.any(String) as string,
        });
      }
    },
  );

  test('in attestationKeyPublicArea: refused, or the TPM does not decrypt the credential', async () => {
    const accepted: Buffer[] = [];
    const structure = 'attestationKeyPublicArea';
    for (const changed of oneByteChanges(bytesOf(structure))) {
      if (!refusalOf(() => verifyPinned(withBytes(structure, changed)))) accepted.push(changed);
    }
    // The signature does not cover this area; its name, for which the credential is encrypted,
    // does.
    // The P-384 endorsement key is the fast one.
    const endorsementKeyPublicArea = Buffer.from(genuine.endorsementKeys[1]!.publicArea, 'base64');
    const activate = (area: Buffer) => {
      const credential = makeTpmCredential({
        endorsementKeyPublicArea,
        objectName: nameOf(parsePublicArea(area, 'key')),
        secret: randomBytes(32),
      });
      return store.activateAttestation({
        keyId,
        credentialBlob: credential.credentialBlob.toString('base64'),
        encryptedSecret: credential.encryptedSecret.toString('base64'),
      });
    };
    await activate(bytesOf(structure));
    for (const area of fc.sample(fc.constantFrom(...accepted), 20)) {
      await expect(activate(area)).rejects.toMatchObject({ code: 'invalid_params' });
    }
  });

  /** Replaces any one byte of `bytes` by any other. */
  const changedIn = (bytes: Buffer) =>
    fc.tuple(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 })).map(([offset, mask]) => {
      const changed = Buffer.from(bytes);
      changed.writeUInt8(changed.readUInt8(offset) ^ mask, offset);
      return changed;
    });

  test.each([
    ['RSA 2048', 0],
    ['P-384', 1],
  ])('in an endorsement key of %s: refused, or this key is the pinned one', (_type, index) => {
    const area = Buffer.from(genuine.endorsementKeys[index]!.publicArea, 'base64');
    fc.assert(
      fc.property(changedIn(area), (changed) => {
        const endorsementKeys = [{ publicArea: changed.toString('base64'), certificate: null }];
        const refusal = refusalOf(() => {
          const { endorsementKey } = verifyPinned({ ...genuine, endorsementKeys });
          expect(endorsementKey.bytes).toEqual(changed);
          const secret = randomBytes(32);
          const objectName = Buffer.alloc(34);
          makeTpmCredential({ endorsementKeyPublicArea: changed, objectName, secret });
        });
        expect([undefined, 'attestation_malformed', 'endorsement_key_unacceptable']).toContain(
          refusal?.code,
        );
      }),
      { numRuns: 300 },
    );
  });

  test('in the certificate of an endorsement key: refused', () => {
    const { publicArea, certificate } = genuine.endorsementKeys[1]!;
    const { raw } = new X509Certificate(Buffer.from(certificate!, 'base64'));
    const trust = {
      roots: [new X509Certificate(tpm.certificates.root)],
      intermediates: [new X509Certificate(tpm.certificates.intermediate)],
    };
    const verifyChained = (der: Buffer) =>
      verifyTpmKeyAttestation(
        { ...genuine, endorsementKeys: [{ publicArea, certificate: der.toString('base64') }] },
        { challenge, publicKeySpkiDerBase64 },
        trust,
        new Date(),
      );
    verifyChained(raw);
    fc.assert(
      fc.property(changedIn(raw), (changed) => {
        expect(refusalOf(() => verifyChained(changed))?.code).toMatch(/^endorsement_certificate_/);
      }),
      { numRuns: 500 },
    );
  });
});

describe('invented attestations', () => {
  const parsers: [Structure, (bytes: Buffer) => unknown][] = [
    ['attest', parseCertifyStatement],
    ['signature', parseEcdsaSignature],
    ['keyPublicArea', (bytes) => parsePublicArea(bytes, 'keyPublicArea')],
  ];

  test.each(parsers)('%s of random bytes is refused', (_structure, parse) => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2048 }), (bytes) => {
        expect(refusalOf(() => parse(Buffer.from(bytes)))).toBeDefined();
      }),
    );
  });

  test.each(parsers)('%s truncated anywhere is refused', (structure, parse) => {
    const bytes = bytesOf(structure);
    for (let length = 0; length < bytes.length; length += 1) {
      expect(refusalOf(() => parse(bytes.subarray(0, length)))).toBeDefined();
    }
  });

  test.each(parsers)('%s with trailing bytes is refused', (structure, parse) => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 64 }), (extra) => {
        const refusal = refusalOf(() => parse(Buffer.concat([bytesOf(structure), extra])));
        expect(refusal?.code).toBe('attestation_malformed');
      }),
    );
  });

  test.each(structures)('%s of a megabyte is refused before it is decoded', (structure) => {
    const refusal = refusalOf(() => verifyPinned(withBytes(structure, Buffer.alloc(2 ** 20))));
    expect(refusal).toMatchObject({
      code: 'attestation_malformed',
      message: expect.stringContaining(structure) as string,
    });
  });

  test.each([...structures, 'format', 'endorsementKeys'] as const)(
    '%s of any other JSON value is refused',
    (member) => {
      fc.assert(
        fc.property(fc.jsonValue(), (value) => {
          const refusal = refusalOf(() => verifyPinned({ ...genuine, [member]: value }));
          expect(refusal?.code).toBe('attestation_malformed');
        }),
      );
    },
  );

  test('any other value is refused as the attestation', () => {
    fc.assert(
      fc.property(fc.anything(), (value) => {
        expect(refusalOf(() => verifyPinned(value))?.code).toBe('attestation_malformed');
      }),
    );
  });

  test('a list of endorsement keys with a hole is refused', () => {
    const endorsementKeys = [...genuine.endorsementKeys];
    endorsementKeys.length += 1;
    expect(refusalOf(() => verifyPinned({ ...genuine, endorsementKeys }))?.code).toBe(
      'attestation_malformed',
    );
  });

  test('an RSA endorsement key with an even modulus is refused', async () => {
    const area = Buffer.from(genuine.endorsementKeys[0]!.publicArea, 'base64');
    area.writeUInt8(area.readUInt8(area.length - 1) & 0xfe, area.length - 1);
    const code = await codeOf(() =>
      makeTpmCredential({
        endorsementKeyPublicArea: area,
        objectName: Buffer.alloc(34),
        secret: randomBytes(32),
      }),
    );
    expect(code).toBe('endorsement_key_unacceptable');
  });

  test('any step of an exchange refuses any other value', async () => {
    const exchange = new TpmAttestationExchange({
      states: new InMemoryAttestationStateStore(),
      trust: null,
    });
    await fc.assert(
      fc.asyncProperty(fc.anything(), fc.anything(), async (id, value) => {
        expect(await codeOf(() => exchange.makeCredential(id as never, value as never))).toBe(
          'attestation_unknown',
        );
        expect(await codeOf(() => exchange.complete(id as never, value as never))).toBe(
          'attestation_unknown',
        );
        const { attestationId } = await exchange.challenge({ publicKeySpkiDerBase64 });
        expect(await codeOf(() => exchange.makeCredential(attestationId, value as never))).toBe(
          'attestation_malformed',
        );
        const begun = await exchange.challenge({ publicKeySpkiDerBase64 });
        const attestation = await codeOf(() =>
          exchange.makeCredential(begun.attestationId, genuine),
        );
        expect(attestation).toBe('attestation_challenge_mismatch');
      }),
      { numRuns: 50 },
    );
  });
});

test('software keys with all the right attributes: no TPM decrypts the credential', async () => {
  const exchange = new TpmAttestationExchange({
    states: new InMemoryAttestationStateStore(),
    trust: { roots: [tpm.certificates.root], intermediates: [tpm.certificates.intermediate] },
  });
  const software = new SoftwareKeys();
  const begun = await exchange.challenge(software);
  const made = await exchange.makeCredential(begun.attestationId, {
    ...software.attest(begun.challenge),
    endorsementKeys: genuine.endorsementKeys,
  });
  await expect(store.activateAttestation({ ...made, keyId })).rejects.toMatchObject({
    code: 'invalid_params',
  });
  const guess = randomBytes(32).toString('base64');
  await expect(exchange.complete(made.attestationId, guess)).rejects.toMatchObject({
    code: 'credential_mismatch',
  });
});

describe('unusable expectations of the backend:', () => {
  test.each([
    ['no challenge', { challenge: undefined }],
    ['an empty challenge', { challenge: '' }],
    ['a challenge of 31 bytes', { challenge: randomBytes(31).toString('base64url') }],
    ['a challenge in base64', { challenge: randomBytes(32).toString('base64') }],
  ])('%s', (_what, changed) => {
    const expected = { publicKeySpkiDerBase64, ...changed };
    expect(() => verifyTpmKeyAttestation(genuine, expected as never, null, new Date())).toThrow(
      TypeError,
    );
  });
});
