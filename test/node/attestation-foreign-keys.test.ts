// Attestations that a backend refuses: clients that make their keys without this library, in the
// same TPM or in another one, and attest them as well as possible.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { DeviceKeyStore, type DeviceKeyAttestation } from '../../lib/index';
import {
  InMemoryAttestationStateStore,
  TpmAttestationExchange,
  verifyTpmKeyAttestation,
} from '../../lib/verify';
import { parsePublicArea, publicKeyOf } from '../../lib/verify/tpm/public-area';
import { attestForeignKey } from '../support/foreign-attestation';
import { codeOf } from '../support/proof-fixtures';
import { SoftHsm, softHsmModule } from '../support/softhsm';
import { SoftwareTpm } from '../support/swtpm';
import { TokenClient } from '../support/token-client';

const account = { accountUserId: 'user-7f3a', clientId: 'laptop' };
const newChallenge = () => randomBytes(32).toString('base64url');

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'dk-foreign-keys-'));
});
afterAll(() => rm(directory, { recursive: true }));

/** The result of the store with this TPM for a new key. */
async function attestWith<T>(
  tpm: SoftwareTpm,
  use: (
    store: DeviceKeyStore,
    key: { keyId: string; publicKeySpkiDerBase64: string },
  ) => Promise<T>,
): Promise<T> {
  const store = DeviceKeyStore.open({
    directory: path.join(directory, path.basename(path.dirname(tpm.socketPath))),
    ...tpm.options,
  });
  try {
    return await use(store, await store.create(account));
  } finally {
    await store.close();
  }
}

describe('keys that other programs made', () => {
  let tpm: SoftwareTpm;
  let endorsementKeys: DeviceKeyAttestation['endorsementKeys'];

  beforeAll(async () => {
    tpm = await SoftwareTpm.start();
    ({ endorsementKeys } = await attestWith(tpm, (store, { keyId }) =>
      store.attest({ keyId, challenge: newChallenge() }),
    ));
  });
  afterAll(() => tpm.stop());

  async function codeFor(keys: Parameters<typeof attestForeignKey>[2]) {
    const challenge = newChallenge();
    const attestation = { ...(await attestForeignKey(tpm, challenge, keys)), endorsementKeys };
    const area = parsePublicArea(Buffer.from(attestation.keyPublicArea, 'base64'), 'key');
    const spki = publicKeyOf(area)!.export({ format: 'der', type: 'spki' });
    const expected = { challenge, publicKeySpkiDerBase64: spki.toString('base64') };
    return codeOf(() => verifyTpmKeyAttestation(attestation, expected, null, new Date()));
  }

  test('a key with our template, made by tpm2-tools, is accepted', async () => {
    expect(await codeFor({})).toBeUndefined();
  });

  test.each([
    ['without fixedTPM', 'sensitivedataorigin|userwithauth|sign'],
    ['that also decrypts', 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign|decrypt'],
    [
      'that signs only what the TPM has made',
      'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign|restricted',
    ],
  ])('attested_key_unacceptable: a key %s', async (_what, key) => {
    expect(await codeFor({ key })).toBe('attested_key_unacceptable');
  });

  test('attested_key_unacceptable: a software key that was imported', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const importedKeyPem = path.join(directory, 'software.pem');
    await writeFile(importedKeyPem, privateKey.export({ format: 'pem', type: 'sec1' }));
    expect(await codeFor({ importedKeyPem })).toBe('attested_key_unacceptable');
  });

  test.each([
    ['that is not restricted', 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign'],
    ['without fixedTPM', 'sensitivedataorigin|userwithauth|sign|restricted'],
  ])('attestation_key_unacceptable: an attestation key %s', async (_what, attestationKey) => {
    expect(await codeFor({ attestationKey })).toBe('attestation_key_unacceptable');
  });
});

describe('credential_mismatch: the key of another TPM', () => {
  test("is refused when its client presents a certified TPM's endorsement key", async () => {
    const [software, certified] = await Promise.all([
      SoftwareTpm.start(),
      SoftwareTpm.startWithCertificates(),
    ]);
    const exchange = new TpmAttestationExchange({
      states: new InMemoryAttestationStateStore(),
      trust: {
        roots: [certified.certificates.root],
        intermediates: [certified.certificates.intermediate],
      },
    });
    try {
      await attestWith(certified, async (certifiedStore, certifiedKey) => {
        const challenge = newChallenge();
        const { endorsementKeys } = await certifiedStore.attest({
          keyId: certifiedKey.keyId,
          challenge,
        });
        await attestWith(software, async (softwareStore, key) => {
          const begun = await exchange.challenge(key);
          const own = await softwareStore.attest({ keyId: key.keyId, ...begun });
          const made = await exchange.makeCredential(begun.attestationId, {
            ...own,
            endorsementKeys,
          });
          // No TPM decrypts it: one has another endorsement key, the other another attestation key.
          for (const [store, { keyId }] of [
            [softwareStore, key],
            [certifiedStore, certifiedKey],
          ] as const) {
            await expect(store.activateAttestation({ ...made, keyId })).rejects.toMatchObject({
              code: 'invalid_params',
            });
          }
          const guess = randomBytes(32).toString('base64');
          await expect(exchange.complete(made.attestationId, guess)).rejects.toMatchObject({
            code: 'credential_mismatch',
          });
        });
      });
    } finally {
      await Promise.all([software.stop(), certified.stop()]);
    }
  });
});

describe('attestation_unsupported: a key outside of a TPM', () => {
  test('in a PKCS#11 token', async () => {
    const hsm = await SoftHsm.make();
    await hsm.addToken('token');
    const client = await TokenClient.start(
      {
        directory: path.join(directory, 'softhsm'),
        tcti: 'device:/dev/no-tpm-here',
        pkcs11: { module: softHsmModule, pin: hsm.pin },
      },
      { env: hsm.environment },
    );
    try {
      const { keyId } = await client.create();
      const attested = client.call('attest', { keyId, challenge: newChallenge() });
      await expect(attested).rejects.toMatchObject({
        code: 'attestation_unsupported',
        message: expect.stringContaining('"pkcs11"') as string,
      });
    } finally {
      await client.stop();
      await hsm.remove();
    }
  });
});
