// What remains when a process ends: keys that sign in the next one, and their records on disk.
import { execFile } from 'node:child_process';
import { createHash, verify } from 'node:crypto';
import { chmod, mkdir, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

import type { DeviceKeySignResponse } from '../../dist/index.js';
import { runChild } from '../support/child';
import { TestMachine } from '../support/machine';
import { binding, connectionPayload, enrollmentPayload } from '../support/payloads';
import { publicKeyOf, verifies } from '../support/proof';

interface Report {
  result: DeviceKeySignResponse;
}

let machine: TestMachine;

beforeEach(async () => {
  machine = await TestMachine.start();
});
afterEach(() => machine.stop());

async function openssl(...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)('openssl', args, {
    env: { ...process.env, TPM2OPENSSL_TCTI: machine.tpm.tcti },
  });
  return stdout;
}

async function enrollHereAndSignElsewhere() {
  const store = machine.open();
  const key = await store.create(binding);
  await store.close();
  const child = await runChild<Report>('use-store.cjs', {
    options: machine.options,
    method: 'sign',
    params: { keyId: key.keyId, payload: connectionPayload() },
  });
  return { key, proof: child.output.result };
}

async function readRecord(keyId: string): Promise<Record<string, unknown>> {
  return JSON.parse(await readFile(machine.recordPath(keyId), 'utf8')) as Record<string, unknown>;
}

async function writeRecord(keyId: string, record: unknown): Promise<void> {
  await writeFile(machine.recordPath(keyId), JSON.stringify(record), { mode: 0o600 });
}

// The reason why deleting a key does not revoke it, as README.md, SECURITY.md and docs/cli.md say.
test('a TPM key that was deleted signs again when a copy of its record is put back', async () => {
  const store = machine.open();
  const { keyId, publicKeySpkiDerBase64 } = await store.create(binding);
  const copy = await readRecord(keyId);
  const sign = () => store.sign({ keyId, payload: connectionPayload() });

  await store.delete({ keyId });
  await expect(sign()).rejects.toMatchObject({ code: 'key_not_found' });
  await writeRecord(keyId, copy);
  expect(verifies(publicKeySpkiDerBase64, await sign())).toBe(true);
  await store.close();
});

describe('a key enrolled in one process', () => {
  test('signs in another, verified by node:crypto', async () => {
    const { key, proof } = await enrollHereAndSignElsewhere();
    expect(verifies(key.publicKeySpkiDerBase64, proof)).toBe(true);
  });

  test('signs in another, verified by the openssl command', async () => {
    const { key, proof } = await enrollHereAndSignElsewhere();
    const file = (name: string) => path.join(machine.directory, name);
    await writeFile(
      file('public.pem'),
      publicKeyOf(key.publicKeySpkiDerBase64).export({ type: 'spki', format: 'pem' }),
    );
    await writeFile(file('signature'), Buffer.from(proof.signatureDerBase64, 'base64'));
    await writeFile(file('message'), Buffer.from(proof.signedPayloadBase64, 'base64'));
    const said = await openssl(
      ...['dgst', '-sha256', '-verify', file('public.pem')],
      ...['-signature', file('signature'), file('message')],
    );
    expect(said).toBe('Verified OK\n');
  });

  test('is stored as a TSS2 PRIVATE KEY that the OpenSSL provider for TPMs can use', async () => {
    const store = machine.open();
    const key = await store.create(binding);
    await store.close();
    const { handle } = (await readRecord(key.keyId)) as { handle: { tss2PrivateKey: string } };
    const authValue = createHash('sha256')
      .update(`device-key-binding/v1\0${binding.accountUserId}\0${binding.clientId}`)
      .digest('base64url')
      .slice(0, 32);
    const file = (name: string) => path.join(machine.directory, name);
    await writeFile(file('key.pem'), handle.tss2PrivateKey);
    await writeFile(file('message'), 'what OpenSSL signs');
    await openssl(
      ...['pkeyutl', '-sign', '-rawin', '-digest', 'sha256'],
      ...['-provider', 'tpm2', '-provider', 'base', '-passin', `pass:${authValue}`],
      ...['-inkey', file('key.pem'), '-in', file('message'), '-out', file('signature')],
    );
    const genuine = verify(
      'sha256',
      await readFile(file('message')),
      publicKeyOf(key.publicKeySpkiDerBase64),
      await readFile(file('signature')),
    );
    expect(genuine).toBe(true);
  });

  test('signs both payloads', async () => {
    const store = machine.open();
    const key = await store.create(binding);
    for (const payload of [connectionPayload(), enrollmentPayload()]) {
      const proof = await store.sign({ keyId: key.keyId, payload });
      expect(verifies(key.publicKeySpkiDerBase64, proof)).toBe(true);
    }
  });
});

describe('the binding of a key', () => {
  // The TPM's answer to a wrong authValue: TPM_RC_BAD_AUTH (0x9a2), or TPM_RC_AUTH_FAIL (0x98e)
  // for keys under dictionary-attack protection.
  const authFailure = /^0x(9a2|98e)$/;

  test.each(['accountUserId', 'clientId'] as const)(
    'is enforced by the TPM: a record edited to another %s does not sign for it',
    async (member) => {
      const keyId = await machine.enroll();
      const other = { ...binding, [member]: 'somebody-else' };
      await writeRecord(keyId, { ...(await readRecord(keyId)), ...other });
      const signing = machine.open().sign({ keyId, payload: connectionPayload(other) });
      await expect(signing).rejects.toMatchObject({
        code: 'binding_mismatch',
        platformStatus: expect.stringMatching(authFailure) as string,
      });
    },
  );

  test('also holds for a loaded key: an edit between two signatures is detected', async () => {
    const store = machine.open();
    const { keyId } = await store.create(binding);
    await store.sign({ keyId, payload: connectionPayload() });
    const other = { ...binding, accountUserId: 'somebody-else' };
    await writeRecord(keyId, { ...(await readRecord(keyId)), ...other });
    const signing = store.sign({ keyId, payload: connectionPayload(other) });
    await expect(signing).rejects.toMatchObject({
      code: 'binding_mismatch',
      platformStatus: expect.stringMatching(authFailure) as string,
    });
  });

  test('survives failed attempts: the TPM does not lock the key', async () => {
    const keyId = await machine.enroll();
    const record = await readRecord(keyId);
    const other = { ...binding, accountUserId: 'somebody-else' };
    await writeRecord(keyId, { ...record, ...other });
    const store = machine.open();
    for (let attempt = 0; attempt < 10; attempt += 1) {
      await expect(store.sign({ keyId, payload: connectionPayload(other) })).rejects.toMatchObject({
        code: 'binding_mismatch',
      });
    }
    await writeRecord(keyId, record);
    await expect(store.sign({ keyId, payload: connectionPayload() })).resolves.toBeDefined();
  });

  test('refuses a payload for another account without asking the TPM', async () => {
    const keyId = await machine.enroll();
    await machine.tpm.kill();
    const payload = connectionPayload({ accountUserId: 'somebody-else' });
    await expect(machine.open().sign({ keyId, payload })).rejects.toMatchObject({
      code: 'binding_mismatch',
      message: expect.stringContaining('payload.accountUserId') as string,
    });
  });
});

describe('the directory of key records', () => {
  const mode = async (file: string) => (await stat(file)).mode & 0o777;

  test('is created with the first key, only for its owner, with any umask', async () => {
    const previous = process.umask(0);
    try {
      const keyId = await machine.enroll();
      expect(await mode(machine.directory)).toBe(0o700);
      expect(await mode(machine.recordPath(keyId))).toBe(0o600);
    } finally {
      process.umask(previous);
    }
  });

  test('has only one file for a key', async () => {
    const keyId = await machine.enroll();
    expect(await readdir(machine.directory)).toEqual([`${keyId}.json`]);
  });

  test('is not created by reading', async () => {
    const store = machine.open();
    expect(await store.list()).toEqual([]);
    expect((await store.support()).store.available).toBe(true);
    await expect(stat(machine.directory)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('is refused when others can write it', async () => {
    const keyId = await machine.enroll();
    await chmod(machine.directory, 0o770);
    const store = machine.open();
    const refused = {
      code: 'store_insecure',
      message: expect.stringContaining(`chmod go= '${machine.directory}'`) as string,
    };
    await expect(store.create(binding)).rejects.toMatchObject(refused);
    await expect(store.public({ keyId })).rejects.toMatchObject(refused);
    await expect(store.sign({ keyId, payload: connectionPayload() })).rejects.toMatchObject(
      refused,
    );
    await expect(store.delete({ keyId })).rejects.toMatchObject(refused);
    await expect(store.list()).rejects.toMatchObject(refused);
    expect((await store.support()).store).toMatchObject({ available: false, ...refused });
  });

  test('leaves no key in the TPM when it is replaced by a file', async () => {
    await writeFile(machine.directory, '');
    const store = machine.open();
    await expect(store.create(binding)).rejects.toMatchObject({
      code: expect.stringMatching(/^store_(unwritable|insecure)$/) as string,
    });
    await store.close();
    expect(await machine.tpm.getcap('handles-transient')).toBe('');
    expect(await machine.tpm.getcap('handles-persistent')).toBe('');
  });
});

describe('a key record', () => {
  test('begins with its version', async () => {
    const keyId = await machine.enroll();
    expect(Object.entries(await readRecord(keyId))[0]).toEqual(['version', 1]);
  });

  test('of a newer version is refused and not changed', async () => {
    const keyId = await machine.enroll();
    await writeRecord(keyId, { version: 3, novel: true });
    const before = await readFile(machine.recordPath(keyId), 'utf8');
    const store = machine.open();
    const refused = {
      code: 'store_corrupt',
      message: expect.stringContaining('newer version') as string,
    };
    await expect(store.public({ keyId })).rejects.toMatchObject(refused);
    await expect(store.sign({ keyId, payload: connectionPayload() })).rejects.toMatchObject(
      refused,
    );
    await expect(store.delete({ keyId })).rejects.toMatchObject(refused);
    expect(await store.list()).toEqual([
      { keyId, error: expect.objectContaining(refused) as unknown },
    ]);
    expect(await readFile(machine.recordPath(keyId), 'utf8')).toBe(before);
  });

  test.each([
    ['that is empty', ''],
    ['that is cut short', '{"version": 1, "keyId": "dk_'],
    ['that is not an object', '[]'],
    ['that is deeply nested', '['.repeat(100_000)],
  ])('%s is refused as store_corrupt', async (_, contents) => {
    const keyId = await machine.enroll();
    await writeFile(machine.recordPath(keyId), contents);
    await expect(machine.open().public({ keyId })).rejects.toMatchObject({ code: 'store_corrupt' });
  });

  test('that another process removed is key_not_found immediately', async () => {
    const store = machine.open();
    const { keyId } = await store.create(binding);
    await rm(machine.recordPath(keyId));
    await expect(store.sign({ keyId, payload: connectionPayload() })).rejects.toMatchObject({
      code: 'key_not_found',
    });
  });

  test('is gone after delete, and a second delete is key_not_found', async () => {
    const store = machine.open();
    const { keyId } = await store.create(binding);
    await expect(store.delete({ keyId })).resolves.toBeUndefined();
    expect(await readdir(machine.directory)).toEqual([]);
    await expect(store.delete({ keyId })).rejects.toMatchObject({ code: 'key_not_found' });
  });

  test('in a directory with foreign files is found, and those are not changed', async () => {
    const keyId = await machine.enroll();
    await writeFile(path.join(machine.directory, 'notes.txt'), 'mine');
    await mkdir(path.join(machine.directory, 'dk_tpm_x.json'));
    const store = machine.open();
    expect((await store.list()).map((key) => key.keyId)).toEqual([keyId]);
    expect((await readdir(machine.directory)).sort()).toEqual(
      [`${keyId}.json`, 'dk_tpm_x.json', 'notes.txt'].sort(),
    );
  });
});
