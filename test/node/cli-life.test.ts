// The life of a key on the command line, with a software TPM (on Windows, a stand-in).
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import type { DeviceKeyCreateResponse, DeviceKeySignResponse } from '../../types/v2';
import { InMemoryNonceStore, verifyDpopProof } from '../../dist/verify.js';
import { CliUser, connectionPayload } from '../support/cli';
import { startTpm } from '../support/machine';
import { testUnlessWindows } from '../support/platform';
import type { SoftwareTpm } from '../support/swtpm';

let tpm: SoftwareTpm;
let user: CliUser;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  tpm = await startTpm();
  user = await CliUser.create();
  env = { DEVICE_KEY_TCTI: tpm.tcti, DEVICE_KEY_ALLOW_SIMULATOR: '1' };
});

afterAll(async () => {
  await user.remove();
  await tpm.stop();
});

async function createKey(): Promise<DeviceKeyCreateResponse> {
  const args = ['create', '--account', 'user-1', '--client', 'laptop'];
  return (await user.json(args, { env })) as DeviceKeyCreateResponse;
}

describe('create', () => {
  test('prints the response of the protocol', async () => {
    expect(await createKey()).toEqual({
      keyId: expect.stringMatching(/^dk_tpm_[\w-]{43}$/) as string,
      publicKeySpkiDerBase64: expect.stringMatching(/^MFkw[\w/+]+={0,2}$/) as string,
      algorithm: 'ecdsa_p256_sha256',
      protectionClass: 'hardware_tpm',
    });
  });

  test('prints a table for people', async () => {
    const { code, stdout, stderr } = await user.run(
      ['create', '--account', 'user-1', '--client', 'laptop'],
      { env },
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(
      /^key id {6}dk_tpm_\S+\nprotection {2}hardware_tpm\nalgorithm {3}ecdsa_p256_sha256\npublic key {2}MFkw\S+\n$/,
    );
  });

  testUnlessWindows('refuses a simulator that was not allowed', async () => {
    const error = await user.jsonError(['create', '--account', 'user-1', '--client', 'laptop'], {
      env: { DEVICE_KEY_TCTI: tpm.tcti },
    });
    expect(error.code).toBe('hardware_unavailable');
  });

  testUnlessWindows('takes the TPM and the simulator from options', async () => {
    const args = ['create', '--account', 'user-1', '--client', 'laptop'];
    const options = ['--tcti', tpm.tcti, '--allow-simulator', '--timeout-ms', '20000'];
    const { code } = await user.run([...args, ...options]);
    expect(code).toBe(0);
  });

  test('keeps records in the directory of the option', async () => {
    const directory = path.join(user.home, 'elsewhere');
    const create = ['create', '--account', 'user-1', '--client', 'laptop'];
    const made = (await user.json([...create, '--directory', directory], { env })) as object;
    expect(await user.json(['list', '--directory', directory], { env })).toEqual({
      keys: [expect.objectContaining(made)] as unknown,
      unreadable: [],
    });
  });
});

describe('dpop', () => {
  const origin = 'https://as.example.com';
  const create = ['dpop', 'create', '--client', 'app', '--origins', `${origin},https://rs.test`];

  test('create prints a key and its thumbprint, and list shows its use', async () => {
    const { code, stdout, stderr } = await user.run(create, { env });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const [, keyId] = /^key id {6}(dk_tpm_\S+)\n/.exec(stdout) ?? [];
    expect(stdout).toMatch(/\nthumbprint {2}[\w-]{43}\n$/);
    const { stdout: listed } = await user.run(['list'], { env });
    expect(listed).toMatch(new RegExp(`^${keyId!} +dpop +- +app +20`, 'm'));
  });

  test('sign prints a proof for the request that it reads', async () => {
    const { keyId, jkt } = (await user.json(create, { env })) as { keyId: string; jkt: string };
    const request = { htm: 'POST', htu: `${origin}/token`, accessToken: 'token-1' };
    const input = JSON.stringify(request);
    const { stdout } = await user.run(['dpop', 'sign', keyId], { env, input });
    const verified = await verifyDpopProof(
      stdout.trim(),
      { ...request, jkt },
      { nonces: new InMemoryNonceStore() },
    );
    expect(verified.jkt).toBe(jkt);
  });

  test('sign reports the error in the request', async () => {
    const { keyId } = (await user.json(create, { env })) as { keyId: string };
    const input = JSON.stringify({ htm: 'POST', htu: 'https://other.test/' });
    const error = await user.jsonError(['dpop', 'sign', keyId], { env, input });
    expect(error.code).toBe('binding_mismatch');
    const { code, stderr } = await user.run(['dpop', 'sign', keyId], { env, input: '[]' });
    expect(code).toBe(2);
    expect(stderr).toContain('expected a JSON object');
  });
});

describe('public', () => {
  test('prints the same as create', async () => {
    const created = await createKey();
    expect(await user.json(['public', created.keyId], { env })).toEqual(created);
  });

  test('needs no hardware', async () => {
    const created = await createKey();
    expect(await user.json(['public', created.keyId])).toEqual(created);
  });

  test('names a missing key', async () => {
    const keyId = `dk_tpm_${'A'.repeat(43)}`;
    const { code, stdout, stderr } = await user.run(['public', keyId], { env });
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(keyId);
    expect(stderr).toContain('key_not_found');
  });
});

describe('list', () => {
  test('shows the bindings of the keys', async () => {
    const { keyId } = await createKey();
    const { stdout } = await user.run(['list'], { env });
    expect(stdout).toMatch(/^KEY ID +USE +ACCOUNT +CLIENT +CREATED +PROTECTION\n/);
    expect(stdout).toMatch(
      new RegExp(`^${keyId} +remote_control +user-1 +laptop +20\\S+Z +hardware_tpm$`, 'm'),
    );
  });

  test('says that there are none', async () => {
    const { code, stdout } = await user.run(['list', '--directory', path.join(user.home, 'none')]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'no keys\n' });
  });

  test('shows control characters in names instead of sending them to the terminal', async () => {
    const directory = path.join(user.home, 'strange');
    const args = ['create', '--account', '\x1b[2Jgone', '--client', 'a\u202eb'];
    await user.run([...args, '--directory', directory], { env });
    const { stdout } = await user.run(['list', '--directory', directory], { env });
    expect(stdout).toContain('\\u{1b}[2Jgone  a\\u{202e}b');
  });

  test('reports unreadable records beside the keys', async () => {
    const directory = path.join(user.home, 'damaged');
    const at = ['--directory', directory];
    const create = ['create', '--account', 'user-1', '--client', 'laptop'];
    const key = (await user.json([...create, ...at], { env })) as object;
    const damaged = `dk_tpm_${'A'.repeat(43)}`;
    await writeFile(path.join(directory, `${damaged}.json`), '{', { mode: 0o600 });

    const { code, stderr } = await user.run(['list', ...at], { env });
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: expect.stringContaining(damaged) as string,
    });
    expect(await user.json(['list', ...at], { env })).toEqual({
      keys: [expect.objectContaining(key)] as unknown,
      unreadable: [
        { keyId: damaged, error: expect.objectContaining({ code: 'store_corrupt' }) as unknown },
      ],
    });
  });
});

describe('sign', () => {
  test('signs a payload from standard input', async () => {
    const { keyId } = await createKey();
    const payload = connectionPayload('user-1', 'laptop');
    const proof = (await user.json(['sign', keyId], {
      env,
      input: JSON.stringify(payload),
    })) as DeviceKeySignResponse;
    const signed = Buffer.from(proof.signedPayloadBase64, 'base64').toString();
    expect(JSON.parse(signed)).toEqual({ domain: 'codex-device-key-sign-payload/v1', payload });
  });

  test('signs a payload from a file', async () => {
    const { keyId } = await createKey();
    const file = path.join(user.home, 'payload.json');
    await writeFile(file, JSON.stringify(connectionPayload('user-1', 'laptop')));
    const { code, stdout } = await user.run(['sign', keyId, '--payload', file], { env });
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^algorithm {5}ecdsa_p256_sha256\nsignature {5}\S+\nsigned bytes {2}\S+\n$/,
    );
  });

  test('refuses a payload for another account', async () => {
    const { keyId } = await createKey();
    const error = await user.jsonError(['sign', keyId], {
      env,
      input: JSON.stringify(connectionPayload('user-2', 'laptop')),
    });
    expect(error.code).toBe('binding_mismatch');
  });

  // An access token pasted by mistake must not end up in a log.
  test.each([
    ['text that is not JSON', 'hunter2'],
    ['JSON that is not a payload', '{"type":"hunter2","hunter2":"hunter2"}'],
    [
      'a payload that breaks a rule',
      JSON.stringify({ ...connectionPayload('user-1', 'laptop'), nonce: 'hunter2' }),
    ],
    ['a payload for somebody else', JSON.stringify(connectionPayload('hunter2', 'hunter2'))],
  ])('does not repeat %s', async (_, input) => {
    const { keyId } = await createKey();
    for (const more of [[], ['--json']]) {
      const { code, stdout, stderr } = await user.run(['sign', keyId, ...more], { env, input });
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).not.toContain('hunter2');
    }
  });

  test('names the file that it cannot read', async () => {
    const error = await user.jsonError(
      ['sign', `dk_tpm_${'A'.repeat(43)}`, '--payload', path.join(user.home, 'absent.json')],
      { env },
    );
    expect(error).toEqual({
      code: 'invalid_input',
      message: expect.stringContaining('absent.json (ENOENT)') as string,
    });
  });

  test('limits the size of a payload', async () => {
    const error = await user.jsonError(['sign', `dk_tpm_${'A'.repeat(43)}`], {
      env,
      input: ' '.repeat(2 ** 21),
    });
    expect(error.code).toBe('invalid_input');
  });
});

describe('verify', () => {
  async function makeProof(): Promise<Record<string, string>> {
    const { keyId } = await createKey();
    const input = JSON.stringify(connectionPayload('user-1', 'laptop'));
    const key = (await user.json(['public', keyId], { env })) as object;
    const proof = (await user.json(['sign', keyId], { env, input })) as object;
    return { ...key, ...proof };
  }

  test('accepts the joined output of public and sign, and shows the signed payload', async () => {
    const proof = await makeProof();
    const signedPayload = Buffer.from(proof['signedPayloadBase64']!, 'base64').toString();
    expect(await user.json(['verify'], { input: JSON.stringify(proof) })).toEqual({
      verified: true,
      signedPayload,
    });
    const { code, stdout } = await user.run(['verify'], { input: JSON.stringify(proof) });
    expect({ code, stdout }).toEqual({ code: 0, stdout: `verified: ${signedPayload}\n` });
  });

  test('reads a proof from a file', async () => {
    const file = path.join(user.home, 'proof.json');
    await writeFile(file, JSON.stringify(await makeProof()));
    expect(await user.json(['verify', '--proof', file])).toMatchObject({ verified: true });
  });

  test('refuses a proof whose bytes were changed', async () => {
    const proof = await makeProof();
    const bytes = Buffer.from(proof['signedPayloadBase64']!, 'base64');
    bytes[20]! ^= 1;
    const input = JSON.stringify({ ...proof, signedPayloadBase64: bytes.toString('base64') });
    const { code, stdout, stderr } = await user.run(['verify'], { input });
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain('signature_mismatch');
  });

  test.each(['null', '[]', '{}', '"text"'])('refuses %s as a proof', async (input) => {
    expect(await user.jsonError(['verify'], { input })).toMatchObject({ code: 'proof_malformed' });
  });
});

describe('delete', () => {
  test('deletes a key permanently', async () => {
    const { keyId } = await createKey();
    expect(await user.json(['delete', keyId, '--yes'], { env })).toEqual({ keyId, deleted: true });
    expect(await user.jsonError(['public', keyId], { env })).toMatchObject({
      code: 'key_not_found',
    });
  });

  test('refuses without a terminal for the question', async () => {
    const { keyId } = await createKey();
    const { code, stderr } = await user.run(['delete', keyId], { env });
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: expect.stringContaining('--yes') as string,
    });
    expect(await user.json(['public', keyId], { env })).toMatchObject({ keyId });
  });
});

describe('app-server', () => {
  test('refuses to listen at another address', async () => {
    const { code, stderr } = await user.run(['app-server', '--listen', 'ws://127.0.0.1:4500'], {
      env,
    });
    expect(code).toBe(2);
    expect(stderr).toContain('--listen: expected stdio://');
  });

  test('serves device/key until its input ends', async () => {
    const requests = [
      { id: 0, method: 'initialize', params: { clientInfo: { name: 'test', version: '1' } } },
      { method: 'initialized' },
      {
        id: 1,
        method: 'device/key/create',
        params: { accountUserId: 'user-1', clientId: 'laptop' },
      },
    ];
    const input = requests.map((request) => `${JSON.stringify(request)}\n`).join('');
    // As clients start the reference server.
    const args = ['app-server', '--listen', 'stdio://'];
    const { code, stdout, stderr } = await user.run(args, { env, input });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const answers = stdout.trimEnd().split('\n');
    expect(JSON.parse(answers[0]!)).toMatchObject({
      result: { codexHome: user.store },
    });
    expect(JSON.parse(answers[1]!)).toEqual({
      id: 1,
      result: expect.objectContaining({ protectionClass: 'hardware_tpm' }) as unknown,
    });
  });
});

test('is installed as device-key', async () => {
  const root = path.join(__dirname, '../..');
  const manifest = JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8')) as {
    bin: Record<string, string>;
  };
  const text = await readFile(path.join(root, manifest.bin['device-key']!), 'utf8');
  expect(text.split('\n')[0]).toBe('#!/usr/bin/env node');
});
