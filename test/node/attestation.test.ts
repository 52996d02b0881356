// Proof that a key is in a TPM: the client's attestation and the backend's exchange, with a
// software TPM that has a maker's certificates.
import { execFile } from 'node:child_process';
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

import Ajv from 'ajv';

import { createDeviceKeyRequestHandler } from '../../lib/app-server';
import { DeviceKeyStore, type DeviceKeyAttestation } from '../../lib/index';
import {
  InMemoryAttestationStateStore,
  makeTpmCredential,
  SqliteKeyRegistry,
  TpmAttestationExchange,
  type TpmAttestationExchangeOptions,
} from '../../lib/verify';
import { nameOf, parsePublicArea } from '../../lib/verify/tpm/public-area';
import { openSqlite } from '../support/sqlite';
import { SoftwareTpm } from '../support/swtpm';

const account = { accountUserId: 'user-7f3a', clientId: 'laptop' };

type CertifiedTpm = Awaited<ReturnType<typeof SoftwareTpm.startWithCertificates>>;

let tpm: CertifiedTpm;
let otherTpm: CertifiedTpm;
let directory: string;
let store: DeviceKeyStore;
let publicKeySpkiDerBase64: string;
let keyId: string;

function openStore(at: SoftwareTpm, name: string): DeviceKeyStore {
  return DeviceKeyStore.open({ directory: path.join(directory, name), ...at.options });
}

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'dk-attest-'));
  tpm = await SoftwareTpm.startWithCertificates();
  otherTpm = await SoftwareTpm.startWithCertificates();
  store = openStore(tpm, 'store');
  ({ keyId, publicKeySpkiDerBase64 } = await store.create(account));
}, 60_000);

afterAll(async () => {
  await store.close();
  await tpm.stop();
  await otherTpm.stop();
  await rm(directory, { recursive: true });
});

function trustOf(maker: CertifiedTpm): TpmAttestationExchangeOptions['trust'] {
  return { roots: [maker.certificates.root], intermediates: [maker.certificates.intermediate] };
}

function exchangeTrusting(
  trust: TpmAttestationExchangeOptions['trust'],
  options: Partial<TpmAttestationExchangeOptions> = {},
): TpmAttestationExchange {
  return new TpmAttestationExchange({
    states: new InMemoryAttestationStateStore(),
    trust,
    ...options,
  });
}

/** The whole exchange; `change` modifies the client's attestation. */
async function prove(
  exchange: TpmAttestationExchange,
  change: (attestation: DeviceKeyAttestation) => DeviceKeyAttestation = (same) => same,
) {
  const begun = await exchange.challenge({ publicKeySpkiDerBase64 });
  const attestation = await store.attest({ keyId, challenge: begun.challenge });
  const { attestationId, credentialBlob, encryptedSecret } = await exchange.makeCredential(
    begun.attestationId,
    change(attestation),
  );
  const { secret } = await store.activateAttestation({ keyId, credentialBlob, encryptedSecret });
  return exchange.complete(attestationId, secret);
}

const onlyKey = (index: number) => (attestation: DeviceKeyAttestation) => ({
  ...attestation,
  endorsementKeys: attestation.endorsementKeys.slice(index, index + 1),
});

describe('the exchange', () => {
  test('proves that the key is in a TPM whose maker is trusted', async () => {
    const proof = await prove(exchangeTrusting(trustOf(tpm)));
    expect(proof).toMatchObject({ publicKeySpkiDerBase64, endorsement: 'chained' });
    expect(proof.certificate?.issuer).toContain('swtpm-localca');
  });

  test.each([
    ['RSA 2048', 0],
    ['P-384', 1],
  ])('works with an endorsement key of %s', async (_type, index) => {
    const proof = await prove(exchangeTrusting(trustOf(tpm)), onlyKey(index));
    expect(proof.endorsement).toBe('chained');
  });

  test('only pins a TPM without certificates, and reports that', async () => {
    const plain = await SoftwareTpm.start();
    const plainStore = openStore(plain, 'plain');
    try {
      const key = await plainStore.create(account);
      const exchange = exchangeTrusting(null);
      const begun = await exchange.challenge(key);
      const attestation = await plainStore.attest({ keyId: key.keyId, challenge: begun.challenge });
      expect(attestation.endorsementKeys).toMatchObject([{ certificate: null }]);
      const made = await exchange.makeCredential(begun.attestationId, attestation);
      const { secret } = await plainStore.activateAttestation({ ...made, keyId: key.keyId });
      expect(await exchange.complete(made.attestationId, secret)).toMatchObject({
        endorsement: 'pinned',
        certificate: null,
      });
    } finally {
      await plainStore.close();
      await plain.stop();
    }
  });

  test('leaves no object and no session in the TPM', async () => {
    await prove(exchangeTrusting(trustOf(tpm)), onlyKey(0));
    await store.close();
    expect(await tpm.getcap('handles-transient')).toBe('');
    expect(await tpm.getcap('handles-loaded-session')).toBe('');
    store = openStore(tpm, 'store');
  });

  test('uses one attestation key for all attestations of a store', async () => {
    const challenge = randomBytes(32).toString('base64url');
    const first = await store.attest({ keyId, challenge });
    const second = await store.attest({ keyId, challenge });
    expect(second.attestationKeyPublicArea).toBe(first.attestationKeyPublicArea);
  });
});

test('a DPoP key is attested in the same way', async () => {
  const key = await store.createDpopKey({
    clientId: 'oauth-client',
    origins: ['https://as.example.com'],
  });
  const exchange = exchangeTrusting(trustOf(tpm));
  const { attestationId, challenge } = await exchange.challenge(key);
  const attestation = await store.attest({ keyId: key.keyId, challenge });
  const { attestationId: next, ...credential } = await exchange.makeCredential(
    attestationId,
    attestation,
  );
  const { secret } = await store.activateAttestation({ ...credential, keyId: key.keyId });
  expect(await exchange.complete(next, secret)).toMatchObject({
    publicKeySpkiDerBase64: key.publicKeySpkiDerBase64,
    endorsement: 'chained',
  });
});

test('a key registry stores the proof of the TPM with the key', async () => {
  const database = openSqlite(':memory:');
  const registry = new SqliteKeyRegistry(database);
  const attestation = await prove(exchangeTrusting(trustOf(tpm)));
  await registry.enroll({ ...account, key: await store.public({ keyId }), attestation });
  const found = await registry.find(publicKeySpkiDerBase64);
  expect(found?.attestation).toEqual(attestation);
  database.close();
});

test('an app-server offers the same to clients in other languages', async () => {
  const handle = createDeviceKeyRequestHandler({ store, transport: 'stdio' });
  const call = async <Result>(method: string, params: object): Promise<Result> => {
    const answer = await handle({ id: 1, method, params });
    if (!answer || !('result' in answer)) throw new Error(JSON.stringify(answer));
    return answer.result as Result;
  };
  const exchange = exchangeTrusting(trustOf(tpm));
  const { attestationId, challenge } = await exchange.challenge({ publicKeySpkiDerBase64 });
  const attestation = await call<DeviceKeyAttestation>('device/key/attest', { keyId, challenge });
  const made = await exchange.makeCredential(attestationId, attestation);
  const { credentialBlob, encryptedSecret } = made;
  const { secret } = await call<{ secret: string }>('device/key/activateAttestation', {
    ...{ keyId, credentialBlob, encryptedSecret },
  });
  expect(await exchange.complete(made.attestationId, secret)).toMatchObject({
    endorsement: 'chained',
  });
  const answers = {
    DeviceKeyAttestation: attestation,
    DeviceKeyActivateAttestationResponse: { secret },
  };
  for (const [name, value] of Object.entries(answers)) {
    const file = path.join(__dirname, '../../types/schema/extensions', `${name}.json`);
    const schema = JSON.parse(await readFile(file, 'utf8')) as object;
    const validate = new Ajv({ allowUnionTypes: true }).compile(schema);
    expect(validate(value) || validate.errors).toBe(true);
  }
});

describe('the exchange refuses', () => {
  const attest = async (challenge = randomBytes(32).toString('base64url')) =>
    store.attest({ keyId, challenge });

  test('a TPM whose maker is not trusted', async () => {
    await expect(prove(exchangeTrusting(trustOf(otherTpm)))).rejects.toMatchObject({
      code: 'endorsement_certificate_untrusted',
    });
  });

  test('a TPM without certificates if roots are given', async () => {
    const withoutCertificates = (attestation: DeviceKeyAttestation) => ({
      ...attestation,
      endorsementKeys: attestation.endorsementKeys.map((key) => ({ ...key, certificate: null })),
    });
    await expect(prove(exchangeTrusting(trustOf(tpm)), withoutCertificates)).rejects.toMatchObject({
      code: 'endorsement_certificate_missing',
    });
  });

  test('the certificate of another endorsement key', async () => {
    const swapped = ({ endorsementKeys: [a, b], ...rest }: DeviceKeyAttestation) => ({
      ...rest,
      endorsementKeys: [{ publicArea: a!.publicArea, certificate: b!.certificate }],
    });
    await expect(prove(exchangeTrusting(trustOf(tpm)), swapped)).rejects.toMatchObject({
      code: 'endorsement_certificate_mismatch',
    });
  });

  test('a certificate whose key is of an unknown kind', async () => {
    const rsaEncryption = Buffer.from('06092a864886f70d010101', 'hex');
    const unknownKind = ({ endorsementKeys: [key], ...rest }: DeviceKeyAttestation) => {
      const certificate = Buffer.from(key!.certificate!, 'base64');
      certificate[certificate.indexOf(rsaEncryption) + 10] = 0x7f;
      return {
        ...rest,
        endorsementKeys: [{ ...key!, certificate: certificate.toString('base64') }],
      };
    };
    await expect(prove(exchangeTrusting(trustOf(tpm)), unknownKind)).rejects.toMatchObject({
      code: 'endorsement_certificate_invalid',
    });
  });

  test('a software key', async () => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const spki = publicKey.export({ format: 'der', type: 'spki' }).toString('base64');
    const exchange = exchangeTrusting(trustOf(tpm));
    const begun = await exchange.challenge({ publicKeySpkiDerBase64: spki });
    await expect(
      exchange.makeCredential(begun.attestationId, await attest(begun.challenge)),
    ).rejects.toMatchObject({ code: 'attested_key_mismatch' });
  });

  test('a replayed challenge', async () => {
    const exchange = exchangeTrusting(trustOf(tpm));
    const begun = await exchange.challenge({ publicKeySpkiDerBase64 });
    await expect(
      exchange.makeCredential(begun.attestationId, await attest()),
    ).rejects.toMatchObject({
      code: 'attestation_challenge_mismatch',
    });
  });

  test('a second response to one challenge', async () => {
    const exchange = exchangeTrusting(trustOf(tpm));
    const begun = await exchange.challenge({ publicKeySpkiDerBase64 });
    const attestation = await attest(begun.challenge);
    await exchange.makeCredential(begun.attestationId, attestation);
    await expect(exchange.makeCredential(begun.attestationId, attestation)).rejects.toMatchObject({
      code: 'attestation_unknown',
    });
  });

  test('a response that comes too late', async () => {
    let seconds = 1_800_000_000;
    const now = () => seconds;
    const exchange = exchangeTrusting(trustOf(tpm), { now, lifetimeSeconds: 60 });
    const begun = await exchange.challenge({ publicKeySpkiDerBase64 });
    seconds += 60;
    await expect(
      exchange.makeCredential(begun.attestationId, await attest(begun.challenge)),
    ).rejects.toMatchObject({ code: 'attestation_unknown' });
  });

  test('a secret that the TPM did not decrypt', async () => {
    const exchange = exchangeTrusting(trustOf(tpm));
    const begun = await exchange.challenge({ publicKeySpkiDerBase64 });
    const made = await exchange.makeCredential(begun.attestationId, await attest(begun.challenge));
    await expect(
      exchange.complete(made.attestationId, randomBytes(32).toString('base64')),
    ).rejects.toMatchObject({ code: 'credential_mismatch' });
  });

  test('a statement with another signature', async () => {
    const exchange = exchangeTrusting(trustOf(tpm));
    const begun = await exchange.challenge({ publicKeySpkiDerBase64 });
    const attestation = await attest(begun.challenge);
    const other = await attest();
    await expect(
      exchange.makeCredential(begun.attestationId, { ...attestation, signature: other.signature }),
    ).rejects.toMatchObject({ code: 'attestation_signature_mismatch' });
  });
});

describe('the client refuses', () => {
  test.each([
    ['no text', 5],
    ['31 bytes', randomBytes(31).toString('base64url')],
    ['65 bytes', randomBytes(65).toString('base64url')],
    ['padding', `${randomBytes(32).toString('base64url')}=`],
  ])('a challenge of %s', async (_what, challenge) => {
    await expect(store.attest({ keyId, challenge: challenge as string })).rejects.toMatchObject({
      code: 'invalid_params',
      message: expect.stringContaining('challenge') as string,
    });
  });

  test('a credential for another TPM', async () => {
    const challenge = randomBytes(32).toString('base64url');
    const attestation = await store.attest({ keyId, challenge });
    const otherStore = openStore(otherTpm, 'other');
    try {
      const key = await otherStore.create(account);
      const other = await otherStore.attest({ keyId: key.keyId, challenge });
      const credential = makeTpmCredential({
        endorsementKeyPublicArea: Buffer.from(other.endorsementKeys[0]!.publicArea, 'base64'),
        objectName: attestationKeyName(attestation),
        secret: randomBytes(32),
      });
      await expect(
        store.activateAttestation({
          keyId,
          credentialBlob: credential.credentialBlob.toString('base64'),
          encryptedSecret: credential.encryptedSecret.toString('base64'),
        }),
      ).rejects.toMatchObject({ code: 'invalid_params' });
    } finally {
      await otherStore.close();
    }
  });
});

function attestationKeyName(attestation: DeviceKeyAttestation): Buffer {
  return nameOf(
    parsePublicArea(Buffer.from(attestation.attestationKeyPublicArea, 'base64'), 'key'),
  );
}

describe('with tpm2-tools and openssl as the peer', () => {
  const file = (name: string) => path.join(directory, name);

  test('the client activates a credential of tpm2_makecredential', async () => {
    const challenge = randomBytes(32).toString('base64url');
    const attestation = await store.attest({ keyId, challenge });
    const area = Buffer.from(attestation.endorsementKeys[0]!.publicArea, 'base64');
    const size = Buffer.alloc(2);
    size.writeUInt16BE(area.length);
    await writeFile(file('ek.pub'), Buffer.concat([size, area])); // TPM2B_PUBLIC
    const secret = randomBytes(32);
    await writeFile(file('secret'), secret);
    await promisify(execFile)('tpm2_makecredential', [
      ...['-T', 'none', '-u', file('ek.pub'), '-s', file('secret')],
      ...['-n', attestationKeyName(attestation).toString('hex'), '-o', file('credential')],
    ]);
    // A header of 8 bytes (magic, version), then TPM2B_ID_OBJECT and TPM2B_ENCRYPTED_SECRET.
    const made = (await readFile(file('credential'))).subarray(8);
    const end = 2 + made.readUInt16BE(0);
    const answer = await store.activateAttestation({
      keyId,
      credentialBlob: made.subarray(0, end).toString('base64'),
      encryptedSecret: made.subarray(end).toString('base64'),
    });
    expect(answer.secret).toBe(secret.toString('base64'));
  });

  test('tpm2_activatecredential decrypts a credential of makeTpmCredential', async () => {
    await store.close();
    for (const ek of ['rsa', 'ecc']) {
      await tpm.tool('tpm2_createek', '-c', file(`${ek}.ctx`), '-G', ek, '-u', file(`${ek}.pub`));
      await tpm.tool('tpm2_flushcontext', '-t');
      await tpm.tool(
        'tpm2_createak',
        ...['-C', file(`${ek}.ctx`), '-c', file('ak.ctx'), '-G', 'ecc', '-g', 'sha256'],
        ...['-s', 'ecdsa', '-n', file('ak.name')],
      );
      await tpm.tool('tpm2_flushcontext', '-t');
      const secret = randomBytes(32);
      const { credentialBlob, encryptedSecret } = makeTpmCredential({
        endorsementKeyPublicArea: (await readFile(file(`${ek}.pub`))).subarray(2),
        objectName: await readFile(file('ak.name')),
        secret,
      });
      const header = Buffer.from('badcc0de00000001', 'hex');
      await writeFile(file('made'), Buffer.concat([header, credentialBlob, encryptedSecret]));
      await tpm.tool('tpm2_startauthsession', '--policy-session', '-S', file('session'));
      await tpm.tool('tpm2_policysecret', '-S', file('session'), '-c', 'e');
      await tpm.tool(
        'tpm2_activatecredential',
        ...['-c', file('ak.ctx'), '-C', file(`${ek}.ctx`), '-i', file('made'), '-o', file('out')],
        ...['-P', `session:${file('session')}`],
      );
      await tpm.tool('tpm2_flushcontext', file('session'));
      await tpm.tool('tpm2_flushcontext', '-t');
      expect(await readFile(file('out'))).toEqual(secret);
    }
    store = openStore(tpm, 'store');
  });

  test('openssl verifies the statement with the attestation key', async () => {
    const attestation = await store.attest({
      keyId,
      challenge: randomBytes(32).toString('base64url'),
    });
    const area = parsePublicArea(
      Buffer.from(attestation.attestationKeyPublicArea, 'base64'),
      'attestationKeyPublicArea',
    );
    if (area.type !== 'ecc') throw new Error('expected an ECC key');
    const prefix = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d03010703420004', 'hex');
    await writeFile(file('ak.der'), Buffer.concat([prefix, area.x, area.y]));
    await writeFile(file('attest'), Buffer.from(attestation.attest, 'base64'));
    // TPMT_SIGNATURE: algorithm, hash, then r and s, each after its size.
    const signature = Buffer.from(attestation.signature, 'base64').subarray(4);
    const r = signature.subarray(2, 2 + signature.readUInt16BE(0));
    const s = signature.subarray(4 + r.length);
    await writeFile(file('signature'), derSignature(r, s));
    const { stdout } = await promisify(execFile)('openssl', [
      ...['dgst', '-sha256', '-keyform', 'DER', '-verify', file('ak.der')],
      ...['-signature', file('signature'), file('attest')],
    ]);
    expect(stdout.trim()).toBe('Verified OK');
    // The statement names the device key by the SHA-256 of its public area.
    const name = createHash('sha256')
      .update(Buffer.from(attestation.keyPublicArea, 'base64'))
      .digest();
    expect(Buffer.from(attestation.attest, 'base64').includes(name)).toBe(true);
  });
});

function derSignature(...integers: Buffer[]): Buffer {
  const encoded = integers.map((value) => {
    const first = value.findIndex((byte) => byte !== 0);
    const short = value.subarray(first);
    const positive = short[0]! >= 0x80 ? Buffer.concat([Buffer.of(0), short]) : short;
    return Buffer.concat([Buffer.of(2, positive.length), positive]);
  });
  const body = Buffer.concat(encoded);
  return Buffer.concat([Buffer.of(0x30, body.length), body]);
}
