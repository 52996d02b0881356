// The in-memory store for users' tests behaves like the real one.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { createInMemoryDeviceKeyStore, type InMemoryDeviceKeyStore } from '../../dist/testing.js';
import type { DeviceKeySignPayload } from '../../dist/index.js';
import { outcome, outcomes } from '../support/outcome';
import { connectionPayload, enrollmentPayload, binding } from '../support/payloads';
import { verifies } from '../support/proof';

let store: InMemoryDeviceKeyStore;

beforeEach(() => {
  store = createInMemoryDeviceKeyStore({ protectionClass: 'hardware_tpm' });
});

afterEach(() => store.close());

test.each([connectionPayload(), enrollmentPayload()])('signs a payload: $type', async (payload) => {
  const key = await store.create(binding);
  const proof = await store.sign({ keyId: key.keyId, payload });
  expect(verifies(key.publicKeySpkiDerBase64, proof)).toBe(true);
  const signed = Buffer.from(proof.signedPayloadBase64, 'base64').toString();
  expect(JSON.parse(signed)).toEqual({ domain: 'codex-device-key-sign-payload/v1', payload });
});

interface Vector {
  name: string;
  payload: DeviceKeySignPayload;
  signedPayloadUtf8: string;
}
const vectorFile = path.join(__dirname, '../vectors/signed-payload.json');
const { vectors } = JSON.parse(readFileSync(vectorFile, 'utf8')) as { vectors: Vector[] };

test.each(vectors)('signs the bytes of the vector "$name"', async (vector) => {
  // Vectors have fixed times, and the store has a clock.
  const soon = Math.floor(Date.now() / 1000) + 600;
  const expiry = /("(?:token|challenge)ExpiresAt":)\d+/;
  const payload = JSON.parse(
    JSON.stringify(vector.payload).replace(expiry, `$1${soon}`),
  ) as DeviceKeySignPayload;

  const { keyId } = await store.create(payload);
  const { signedPayloadBase64 } = await store.sign({ keyId, payload });
  expect(Buffer.from(signedPayloadBase64, 'base64').toString()).toBe(
    vector.signedPayloadUtf8.replace(expiry, `$1${soon}`),
  );
});

describe('refuses like the real store:', () => {
  let keyId: string;

  beforeEach(async () => {
    ({ keyId } = await store.create(binding));
  });

  const unknown = `dk_tpm_${Buffer.alloc(32).toString('base64url')}`;

  test.each<[string, string, () => Promise<unknown>]>([
    ['an empty account', 'invalid_params', () => store.create({ ...binding, accountUserId: '' })],
    ['a client with a NUL', 'invalid_params', () => store.create({ ...binding, clientId: 'a\0' })],
    [
      'a policy that there is not',
      'invalid_params',
      () => store.create({ ...binding, protectionPolicy: 'none' as never }),
    ],
    ['no params', 'invalid_params', () => store.create(undefined as never)],
    ['no key id', 'invalid_params', () => store.public({} as never)],
    ['a key id that could be none', 'invalid_params', () => store.public({ keyId: '../key' })],
    ['an unknown key', 'key_not_found', () => store.public({ keyId: unknown })],
    [
      'to sign with an unknown key',
      'key_not_found',
      () => store.sign({ keyId: unknown, payload: connectionPayload() }),
    ],
    ['to delete an unknown key', 'key_not_found', () => store.delete({ keyId: unknown })],
    [
      'a payload that breaks a rule',
      'invalid_payload',
      () => store.sign({ keyId, payload: connectionPayload({ nonce: 'short' }) }),
    ],
    [
      'an origin that the targets do not allow',
      'invalid_payload',
      () => store.sign({ keyId, payload: connectionPayload({ targetOrigin: 'https://a.test' }) }),
    ],
    [
      'the account of another',
      'binding_mismatch',
      () => store.sign({ keyId, payload: connectionPayload({ accountUserId: 'user-2' }) }),
    ],
    [
      'the client of another',
      'binding_mismatch',
      () => store.sign({ keyId, payload: enrollmentPayload({ clientId: 'client-2' }) }),
    ],
    [
      'to create for a signal that was aborted',
      'canceled',
      () => store.create(binding, { signal: AbortSignal.abort() }),
    ],
  ])('%s', async (_, expected, operation) => {
    expect(await outcome(operation())).toBe(expected);
  });

  test('everything after it is closed', async () => {
    await store.close();
    const payload = connectionPayload();
    const operations = [
      ...[store.create(binding), store.public({ keyId }), store.sign({ keyId, payload })],
      ...[store.delete({ keyId }), store.list(), store.support()],
    ];
    expect(await outcomes(operations)).toEqual(operations.map(() => 'closed'));
  });
});

test('targets replace the default rules', async () => {
  const ours = createInMemoryDeviceKeyStore({
    protectionClass: 'hardware_tpm',
    targets: { httpsHosts: ['a.test'] },
  });
  const { keyId } = await ours.create(binding);
  const signAt = (targetOrigin: string) =>
    outcome(ours.sign({ keyId, payload: connectionPayload({ targetOrigin }) }));
  expect(await signAt('https://a.test')).toBe('fulfilled');
  expect(await signAt('https://chatgpt.com')).toBe('invalid_payload');
  await ours.close();
});

describe('claims that its keys are protected', () => {
  test('by the operating system by default, which hardware_only does not allow', async () => {
    const plain = createInMemoryDeviceKeyStore();
    expect(await outcome(plain.create(binding))).toBe('degraded_protection_not_allowed');
    const policy = { protectionPolicy: 'allow_os_protected_nonextractable' } as const;
    const key = await plain.create({ ...binding, ...policy });
    expect(key.protectionClass).toBe('os_protected_nonextractable');
    expect(await plain.support()).toMatchObject({ hardware: false });
    await plain.close();
  });

  test.each([
    ['hardware_secure_enclave', /^dk_hse_/],
    ['hardware_tpm', /^dk_tpm_/],
  ] as const)('by %s when told so', async (protectionClass, keyId) => {
    const hardware = createInMemoryDeviceKeyStore({ protectionClass });
    const key = await hardware.create(binding);
    expect(key).toMatchObject({ protectionClass, keyId: expect.stringMatching(keyId) as string });
    expect(await hardware.support()).toMatchObject({ protectionClass, hardware: true });
    await hardware.close();
  });

  test('only by existing protection classes', () => {
    expect(() => createInMemoryDeviceKeyStore({ protectionClass: 'magic' as never })).toThrow(
      /^protectionClass: expected one of/,
    );
  });
});

test('forgets a deleted key', async () => {
  const { keyId } = await store.create(binding);
  await store.delete({ keyId });
  expect(await store.list()).toEqual([]);
  expect(await outcome(store.public({ keyId }))).toBe('key_not_found');
});

test('leaves nothing on disk', async () => {
  const { keyId } = await store.create(binding);
  await store.sign({ keyId, payload: connectionPayload() });
  expect(existsSync((await store.support()).store.directory)).toBe(false);
});

test('is not loaded by the main entry', () => {
  const script = `require('node-device-key'); console.log(Object.keys(require.cache).join('\\n'))`;
  const loaded = execFileSync(process.execPath, ['-e', script], {
    cwd: path.join(__dirname, '../..'),
    encoding: 'utf8',
  });
  expect(loaded).not.toContain('testing');
});
