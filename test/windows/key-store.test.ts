// The provider for Windows and the behaviour of its key stores, seen from JavaScript.
import { readdirSync, utimesSync } from 'node:fs';
import path from 'node:path';

import { Child } from '../support/child';
import { TestMachine } from '../support/machine';
import { outcome } from '../support/outcome';
import { binding, connectionPayload } from '../support/payloads';
import { verifies } from '../support/proof';
import { behave, loseKeys, storedKeys } from '../support/windows/stand-in-key-store';

const software = { ...binding, protectionPolicy: 'allow_os_protected_nonextractable' } as const;

let machine: TestMachine;

beforeEach(async () => {
  machine = await TestMachine.start();
});
afterEach(() => machine.stop());

const sign = (keyId: string) => machine.open().sign({ keyId, payload: connectionPayload() });

test('a key in the TPM signs, also with a store directory name outside every code page', async () => {
  expect(machine.directory).toMatch(/鍵/);
  const key = await machine.open().create(binding);
  expect(key).toMatchObject({
    keyId: expect.stringMatching(/^dk_tpm_/) as string,
    protectionClass: 'hardware_tpm',
  });
  expect(verifies(key.publicKeySpkiDerBase64, await sign(key.keyId))).toBe(true);
});

test('a deleted key is gone from the key store', async () => {
  const before = storedKeys();
  const key = await machine.open().create(binding);
  expect(storedKeys()).toHaveLength(before.length + 1);
  await machine.open().delete(key);
  expect(storedKeys()).toEqual(before);
});

test('a key that cannot be deleted keeps its record, and still signs', async () => {
  const key = await machine.open().create(binding);
  behave('NCryptDeleteKey=0x80090010');
  expect(await outcome(machine.open().delete(key))).toBe('permission_denied');
  behave();
  expect(verifies(key.publicKeySpkiDerBase64, await sign(key.keyId))).toBe(true);
});

test('a key that is gone from the key store is lost, and its record can be deleted', async () => {
  const key = await machine.open().create(binding);
  loseKeys(storedKeys().filter((name) => name.includes(key.keyId)));
  await expect(sign(key.keyId)).rejects.toMatchObject({
    code: 'key_lost',
    platformStatus: '0x80090016',
  });
  await machine.open().delete(key);
  expect(await machine.open().list()).toEqual([]);
});

describe('the fallback', () => {
  test('must be allowed', async () => {
    behave('no-tpm');
    expect(await outcome(machine.open().create(binding))).toBe('degraded_protection_not_allowed');
  });

  test.each([
    ['there is no TPM', 'no-tpm'],
    ['the TPM is a 1.2', 'tpm-1.2'],
  ])('signs if %s', async (_, behaviour) => {
    behave(behaviour);
    const key = await machine.open().create(software);
    expect(key.protectionClass).toBe('os_protected_nonextractable');
    expect(verifies(key.publicKeySpkiDerBase64, await sign(key.keyId))).toBe(true);
  });

  test('is a plain key if Windows has no isolation', async () => {
    behave('no-tpm', 'no-isolation');
    const key = await machine.open().create(software);
    expect(verifies(key.publicKeySpkiDerBase64, await sign(key.keyId))).toBe(true);
  });

  test.each([
    ['not-ready', 'device_busy'],
    ['NCryptFinalizeKey=0x80280922', 'device_busy'],
    ['NCryptFinalizeKey=0x80280921', 'tpm_lockout'],
    ['NCryptFinalizeKey=0x80290407', 'platform_error'],
  ])('is not used for a temporary fault: %s', async (behaviour, code) => {
    behave(behaviour);
    const before = storedKeys();
    expect(await outcome(machine.open().create(software))).toBe(code);
    expect(storedKeys()).toEqual(before);
  });
});

test('support reports both key stores, and why the TPM is missing though its key store opens', async () => {
  behave('no-tpm');
  expect(await machine.open().support()).toMatchObject({
    protectionClass: 'os_protected_nonextractable',
    hardware: false,
    providers: [
      { provider: 'cng-platform', available: false, code: 'hardware_unavailable' },
      { provider: 'cng-software', available: true, code: null },
    ],
  });
});

test('a public key with the generic magic is accepted', async () => {
  behave('generic-magic');
  const key = await machine.open().create(binding);
  expect(verifies(key.publicKeySpkiDerBase64, await sign(key.keyId))).toBe(true);
});

test('a key that may be exported is refused and deleted', async () => {
  behave('exportable');
  const before = storedKeys();
  await expect(machine.open().create(binding)).rejects.toMatchObject({
    code: 'platform_error',
    message: expect.stringContaining('export policy 1') as string,
  });
  expect(storedKeys()).toEqual(before);
});

test('a signature that does not verify is not returned', async () => {
  const { keyId } = await machine.open().create(binding);
  behave('wrong-signature');
  expect(await outcome(sign(keyId))).toBe('crypto_error');
});

test('a key that is made too late is deleted', async () => {
  const before = storedKeys();
  const store = machine.open({ timeoutMs: 300 });
  behave('slow=1500');
  expect(await outcome(store.create(binding))).toBe('device_timeout');
  behave();
  // It runs after the call that is still working on the first key.
  const key = await machine.open({ timeoutMs: 20_000 }).create(binding);
  await until(() => storedKeys().length === before.length + 1);
  expect(storedKeys()).toContainEqual(expect.stringContaining(key.keyId));
});

test('the key of a process that died while it was made is deleted later', async () => {
  const before = storedKeys();
  behave('slow=60000');
  const child = new Child('use-store.cjs', {
    options: machine.options,
    method: 'create',
    params: binding,
  });
  await until(() => storedKeys().length === before.length + 1);
  child.kill('SIGKILL');
  await child.result;
  behave();
  const left = readdirSync(machine.directory);
  expect(left).toContainEqual(expect.stringMatching(/^dk_tpm_.*\.pending$/));
  const longAgo = Date.now() / 1000 - 3 * 3600;
  for (const file of left) utimesSync(path.join(machine.directory, file), longAgo, longAgo);

  const store = machine.open();
  const key = await store.create(binding);
  await store.list(); // sweeps the pending record
  expect(storedKeys()).toHaveLength(before.length + 1);
  expect(readdirSync(machine.directory)).toEqual([`${key.keyId}.json`]);
});

test('an id that differs in upper and lower case is not found, though the disk opens its file', async () => {
  const { keyId } = await machine.open().create(binding);
  // Not the prefix, and not the last character, whose unused bits must be 0.
  const other =
    keyId.slice(0, 7) +
    keyId.slice(7, -1).replace(/[a-z]/gi, (c) => (c < 'a' ? c.toLowerCase() : c.toUpperCase())) +
    keyId.slice(-1);
  expect(await outcome(machine.open().public({ keyId: other }))).toBe('key_not_found');
});

test('records can have paths of more than 260 characters', async () => {
  const directory = path.join(machine.directory, ...Array<string>(8).fill('x'.repeat(40)));
  expect(directory.length).toBeGreaterThan(260);
  const { keyId } = await machine.open({ directory }).create(binding);
  expect(await machine.open({ directory }).public({ keyId })).toMatchObject({ keyId });
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 20));
}
