// `device-key self-test` on machines of several kinds. Windows' is in test/windows.
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';

import { CliUser } from '../support/cli';
import { SoftHsm, softHsmModule } from '../support/softhsm';
import { SoftwareTpm } from '../support/swtpm';

const root = path.join(__dirname, '../..');

interface Report {
  passed: boolean;
  protectionClass: string | null;
  checks: {
    name: string;
    passed: boolean;
    detail: string | null;
    error: { code: string } | null;
  }[];
  leftBehind: { directory: string; keyIds: string[] } | null;
}

const everyStep = [
  'open a key store',
  'ask what to expect',
  'create a key',
  'sign and verify',
  'sign from a second process',
  'delete the key',
  'look for the deleted key',
  'make a DPoP proof with another key',
];

let user: CliUser;
let temporary: string;
beforeEach(async () => {
  user = await CliUser.create();
  temporary = path.join(user.home, 'tmp');
  await mkdir(temporary);
});
afterEach(() => user.remove());

async function selfTest(env: NodeJS.ProcessEnv) {
  const { code, stdout, stderr } = await user.run(['self-test', '--json'], {
    env: { TMPDIR: temporary, ...env },
  });
  expect(stderr).toBe('');
  return { code, report: JSON.parse(stdout) as Report };
}

function passedSteps({ checks }: Report): string[] {
  return checks.filter(({ passed }) => passed).map(({ name }) => name);
}

describe('with a TPM', () => {
  let tpm: SoftwareTpm;
  let env: NodeJS.ProcessEnv;
  beforeEach(async () => {
    tpm = await SoftwareTpm.start();
    env = { DEVICE_KEY_TCTI: tpm.tcti, DEVICE_KEY_ALLOW_SIMULATOR: '1', TMPDIR: temporary };
  });
  afterEach(() => tpm.stop());

  test('every step passes, and the record was the only place of the key', async () => {
    const { code, report } = await selfTest(env);
    expect(code).toBe(0);
    expect(report).toMatchObject({ passed: true, protectionClass: 'hardware_tpm' });
    expect(passedSteps(report)).toEqual(everyStep);
    expect(report.checks.at(-2)?.detail).toMatch(/its record was the only place/);
  });

  test("leaves nothing in the temporary directory, the user's key store and the TPM", async () => {
    await selfTest(env);
    expect(readdirSync(temporary)).toEqual([]);
    expect(readdirSync(user.home)).toEqual(['tmp']);
    expect(await tpm.getcap('handles-transient')).toBe('');
  });

  test('the second process gets the options of the first one', async () => {
    const { code } = await user.run(
      ['self-test', '--tcti', tpm.tcti, '--allow-simulator', '--timeout-ms', '20000'],
      { env: { TMPDIR: temporary } },
    );
    expect(code).toBe(0);
  });

  test('the report for people has versions, providers, steps and the result', async () => {
    const { stdout } = await user.run(['self-test'], { env });
    expect(stdout).toMatch(/^node-device-key .* self-test, Node.js .*, linux-/);
    expect(stdout).toMatch(/^tpm2 +hardware_tpm +available$/m);
    for (const step of everyStep)
      expect(stdout).toMatch(new RegExp(`^ok +${step} +[\\d.]+ ms`, 'm'));
    expect(stdout).toMatch(/\nThe self-test passed\.\n$/);
  });

  test('the directory of keys cannot be chosen, so no real key is touched', async () => {
    const { code, stderr } = await user.run(['self-test', '--directory', user.home], { env });
    expect(code).toBe(2);
    expect(stderr).toMatch(/--directory: self-test uses a temporary directory/);
  });
});

describe('with a PKCS#11 token', () => {
  let hsm: SoftHsm;
  let env: NodeJS.ProcessEnv;
  beforeEach(async () => {
    hsm = await SoftHsm.make();
    await hsm.addToken('device keys');
    env = {
      ...hsm.environment,
      DEVICE_KEY_TCTI: 'device:/dev/no-tpm-here',
      DEVICE_KEY_PKCS11_MODULE: softHsmModule,
      DEVICE_KEY_PKCS11_PIN: hsm.pin,
    };
  });
  afterEach(() => hsm.remove());

  test('every step passes, and a copy of the record does not lead to the deleted key', async () => {
    const { code, report } = await selfTest(env);
    expect(code).toBe(0);
    expect(report.protectionClass).toBe('os_protected_nonextractable');
    expect(passedSteps(report)).toEqual(everyStep);
    expect(report.checks.at(-2)?.detail).toMatch(/a copy of its record fails with key_lost/);
    expect(await hsm.tool(['--token-label', 'device keys', '--list-objects'])).not.toMatch(
      /dk_osn_/,
    );
    expect(readdirSync(temporary)).toEqual([]);
  });

  test("a token that keeps the deleted key is detected, and the key's record is kept", async () => {
    const module = path.join(hsm.directory, 'keeps-deleted-keys.so');
    execFileSync('g++', [
      ...['-shared', '-fPIC', '-std=c++20', '-I', path.join(root, 'native')],
      ...[`-DMODULE="${softHsmModule}"`, '-o', module],
      path.join(root, 'test/support/pkcs11_keeps_deleted_keys.cc'),
    ]);
    const { code, report } = await selfTest({ ...env, DEVICE_KEY_PKCS11_MODULE: module });
    expect(code).toBe(1);
    expect(passedSteps(report)).toEqual(everyStep.slice(0, -3));
    // The provider checks the token after it has deleted a key.
    expect(report.checks.at(-1)).toMatchObject({
      name: 'delete the key',
      error: { code: 'platform_error' },
    });
    // With a token that deletes, the advice works.
    const { directory, keyIds } = report.leftBehind!;
    const { code: deleted } = await user.run(
      ['delete', keyIds[0]!, '--directory', directory, '--yes'],
      { env },
    );
    expect(deleted).toBe(0);
    expect(await hsm.tool(['--token-label', 'device keys', '--list-objects'])).not.toMatch(
      /dk_osn_/,
    );
  });

  test('a wrong PIN is reported as the error of the step that needs it', async () => {
    const { code, report } = await selfTest({ ...env, DEVICE_KEY_PKCS11_PIN: '9999' });
    expect(code).toBe(1);
    expect(report.checks.find(({ passed }) => !passed)).toMatchObject({
      name: 'create a key',
      error: { code: 'pin_incorrect' },
    });
  });
});

describe('on a machine without hardware and tokens', () => {
  test('the report says why no key can be made', async () => {
    const { code, report } = await selfTest({ DEVICE_KEY_TCTI: 'device:/dev/no-tpm-here' });
    expect(code).toBe(1);
    expect(report).toMatchObject({ passed: false, protectionClass: null, leftBehind: null });
    expect(passedSteps(report)).toEqual(['open a key store', 'ask what to expect']);
    expect(report.checks.at(-1)?.error?.code).toBe('hardware_unavailable');
    expect(readdirSync(temporary)).toEqual([]);
  });

  test('the report for people has the cure', async () => {
    const { code, stdout } = await user.run(['self-test'], {
      env: { DEVICE_KEY_TCTI: 'device:/dev/no-tpm-here', TMPDIR: temporary },
    });
    expect(code).toBe(1);
    expect(stdout).toMatch(/^create a key failed \[hardware_unavailable\]: no TPM 2\.0 at/m);
    expect(stdout).toMatch(/\nThe self-test FAILED\.\n$/);
  });
});
