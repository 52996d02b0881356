// `device-key doctor` on machines with problems: its findings, and whether its cures work.
import { execFile } from 'node:child_process';
import { chmod, cp, mkdir, stat, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

import { report, type DoctorReport, type Finding } from '../../lib/cli/doctor/report';
import { reportText } from '../../lib/cli/doctor/text';
import type { DeviceKeyProviderSupport, DeviceKeySupport } from '../../lib/store';
import { CliUser, withoutPrivileges, type CliOptions } from '../support/cli';
import { SoftwareTpm } from '../support/swtpm';

const root = path.join(__dirname, '../..');
let user: CliUser;

beforeEach(async () => {
  user = await CliUser.create();
});

afterEach(async () => {
  await user.remove();
});

interface Diagnosis {
  code: number | null;
  report: DoctorReport;
  // For people.
  text: string;
}

async function doctor(options: CliOptions, ...args: string[]): Promise<Diagnosis> {
  const json = await user.run(['doctor', '--json', ...args], options);
  expect(json.stderr).toBe('');
  const text = await user.run(['doctor', ...args], options);
  expect({ code: text.code, stderr: text.stderr }).toEqual({ code: json.code, stderr: '' });
  return { code: json.code, report: JSON.parse(json.stdout) as DoctorReport, text: text.stdout };
}

// Expects only this finding, apart from notes, in one line of text.
function expectFinding({ report, text }: Diagnosis, finding: Finding): void {
  const findings = report.findings.filter(({ severity }) => severity !== 'note');
  expect(findings).toEqual([finding]);
  const [{ severity, code, message }] = findings as [Finding];
  expect(text.split('\n')).toContain(`${severity} [${code}]: ${message}`);
}

describe('without a usable TPM', () => {
  test('on a machine without a TPM it says how to enable it', async () => {
    const diagnosis = await doctor({}, '--tcti', `device:${user.home}/tpmrm0`);
    expect(diagnosis.code).toBe(1);
    expect(diagnosis.report).toMatchObject({ usable: false, protectionClass: null });
    expectFinding(diagnosis, {
      severity: 'error',
      code: 'hardware_unavailable',
      message: expect.stringMatching(/no TPM 2\.0 at .*tpmrm0.*Enable the TPM/) as string,
    });
    expect(diagnosis.text).toContain('Keys in hardware cannot be used.');
  });

  test('to a user without permission for the node it names the group', async () => {
    const node = path.join(user.home, 'tpmrm0');
    await writeFile(node, '', { mode: 0 });
    const diagnosis = await doctor({ under: withoutPrivileges }, '--tcti', `device:${node}`);
    expect(diagnosis.code).toBe(1);
    expectFinding(diagnosis, {
      severity: 'error',
      code: 'permission_denied',
      message: expect.stringMatching(/tpmrm0: Permission denied.*usermod -aG tss/) as string,
    });
  });

  test('on a machine without tpm2-tss it names the package', async () => {
    const node = path.join(user.home, 'tpmrm0');
    await writeFile(node, '');
    await writeFile(path.join(user.home, 'libtss2-rc.so.0'), '');
    const env = { LD_LIBRARY_PATH: user.home };
    const diagnosis = await doctor({ env }, '--tcti', `device:${node}`);
    expect(diagnosis.code).toBe(1);
    expectFinding(diagnosis, {
      severity: 'error',
      code: 'library_missing',
      message: expect.stringMatching(/libtss2-rc.*apt install libtss2-sys1 libtss2-rc0/) as string,
    });
  });

  test('a simulator that is not allowed is not hardware', async () => {
    const diagnosis = await doctor({}, '--tcti', 'swtpm:path=/nowhere');
    expect(diagnosis.code).toBe(1);
    expectFinding(diagnosis, {
      severity: 'error',
      code: 'hardware_unavailable',
      message: expect.stringContaining('is a simulator, which protects nothing') as string,
    });
  });
});

test('without a build of the addon it says how to get one', async () => {
  const copy = path.join(user.home, 'package');
  await mkdir(copy);
  await cp(path.join(root, 'dist'), path.join(copy, 'dist'), { recursive: true });
  await cp(path.join(root, 'package.json'), path.join(copy, 'package.json'));
  await symlink(path.join(root, 'node_modules'), path.join(copy, 'node_modules'));

  const diagnosis = await doctor({ binary: path.join(copy, 'dist/cli/main.js') });
  expect(diagnosis.code).toBe(1);
  expect(diagnosis.report).toMatchObject({ usable: false, providers: [], store: null });
  expectFinding(diagnosis, {
    severity: 'error',
    code: 'platform_error',
    message: expect.stringContaining('npm rebuild --foreground-scripts node-device-key') as string,
  });
});

describe('on machines that are not available here', () => {
  const versions = { nodeDeviceKey: '0.0.0-test', node: '20.0.0', platform: 'plan9-mips' };
  const directory = { directory: '/keys', exists: false, mode: null, owner: null, writable: true };
  const hardware: DeviceKeyProviderSupport = {
    provider: 'tpm2',
    protectionClass: 'hardware_tpm',
    asked: true,
    available: true,
    code: null,
    message: null,
    details: {},
  };
  const missing = { available: false, code: 'hardware_unavailable', message: 'none' } as const;
  const software = { ...hardware, protectionClass: 'os_protected_nonextractable' } as const;

  function reportOn(...providers: DeviceKeyProviderSupport[]): DoctorReport {
    const best = providers.find(({ available }) => available)?.protectionClass ?? null;
    const support: DeviceKeySupport = {
      providers,
      protectionClass: best,
      hardware: best?.startsWith('hardware_') ?? false,
      store: { directory: '/keys', available: true, code: null, message: null },
    };
    return report({ support, directory, listed: [] }, versions);
  }

  test('one kind of hardware is enough', () => {
    const other = { ...hardware, ...missing, provider: 'other' };
    const result = reportOn(other, hardware);
    expect(result).toMatchObject({ usable: true, findings: [{ severity: 'note' }] });
  });

  test('a fallback is not hardware, and is offered', () => {
    const result = reportOn({ ...hardware, ...missing }, software);
    expect(result).toMatchObject({ usable: false, findings: [{ severity: 'error' }] });
    expect(reportText(result)).toContain('--policy allow_os_protected_nonextractable');
  });

  test('a missing fallback is no problem if there is hardware', () => {
    const result = reportOn(hardware, { ...software, ...missing });
    expect(result).toMatchObject({ usable: true, findings: [] });
  });

  test('a missing fallback is noted if there is no hardware', () => {
    const result = reportOn({ ...hardware, ...missing }, { ...software, ...missing });
    expect(result.findings).toMatchObject([{ severity: 'error' }, { severity: 'note' }]);
  });

  test('a platform without providers is named', () => {
    const result = reportOn();
    expect(result).toMatchObject({ usable: false, findings: [{ severity: 'error' }] });
    expect(reportText(result)).toContain('no secure hardware on plan9-mips');
  });

  test('facts without a text are shown unchanged', () => {
    const details = { token: 'a\x1b[2Jb', slots: 3 };
    expect(reportText(reportOn({ ...hardware, details }))).toContain(
      '  token  a\\u{1b}[2Jb\n  slots  3\n',
    );
  });
});

describe('with a software TPM', () => {
  let tpm: SoftwareTpm;
  let env: NodeJS.ProcessEnv;

  beforeEach(async () => {
    tpm = await SoftwareTpm.start();
    env = { DEVICE_KEY_TCTI: tpm.tcti, DEVICE_KEY_ALLOW_SIMULATOR: '1' };
  });

  afterEach(async () => {
    await tpm.stop();
  });

  async function createKey(...args: string[]): Promise<void> {
    await user.json(['create', '--account', 'user-1', '--client', 'laptop', ...args], { env });
  }

  test('it warns of the simulator', async () => {
    const diagnosis = await doctor({ env });
    expect(diagnosis.code).toBe(0);
    expectFinding(diagnosis, {
      severity: 'warning',
      code: 'simulator',
      message: expect.stringContaining('THIS TPM IS A SIMULATOR') as string,
    });
    expect(diagnosis.text).toContain('Keys can be used in a SIMULATOR, which protects nothing.');
  });

  test('it names the TPM', async () => {
    const { report, text } = await doctor({ env });
    expect(report).toMatchObject({
      usable: true,
      protectionClass: 'hardware_tpm',
    });
    expect(report.providers[0]).toMatchObject({
      provider: 'tpm2',
      available: true,
      details: { manufacturer: 'IBM', simulator: true },
    });
    expect(text).toMatch(/^ {2}manufacturer {5}IBM, SW +TPM$/m);
    expect(text).toMatch(/^ {2}firmware {9}\d+\.\d+\.\d+\.\d+$/m);
    expect(text).toMatch(
      /^ {2}lockout {10}no, 0 of 3 wrong authorizations, one forgotten every \d+ s$/m,
    );
    expect(text).toMatch(/^ {2}owner password {3}not set$/m);
  });

  test('it checks the fallback only with --all', async () => {
    // A named module is checked in any case.
    const unnamed = { ...env, DEVICE_KEY_PKCS11_MODULE: '' };
    const asked = async (...args: string[]) => {
      const { report } = await doctor({ env: unnamed }, ...args);
      return report.providers.find(({ provider }) => provider === 'pkcs11')?.asked;
    };
    expect(await asked()).toBe(false);
    expect(await asked('--all')).toBe(true);
  });

  test('it changes nothing', async () => {
    await doctor({ env });
    await expect(stat(user.store)).rejects.toMatchObject({ code: 'ENOENT' });
    expect(await tpm.getcap('handles-transient')).toBe('');
    expect(await tpm.getcap('handles-persistent')).toBe('');
  });

  test('it distinguishes a persistent storage key from a derived one', async () => {
    expect((await doctor({ env })).text).toMatch(/storage key +derived in every process$/m);
    await makeStorageKeyPersistent(tpm);
    expect((await doctor({ env })).text).toMatch(/storage key +persistent, at 0x81000001$/m);
  });

  test('it counts keys, and records that cannot be read', async () => {
    await createKey();
    const damaged = `dk_tpm_${'A'.repeat(43)}`;
    await writeFile(path.join(user.store, `${damaged}.json`), '{', { mode: 0o600 });

    const { code, report, text } = await doctor({ env });
    expect(code).toBe(0);
    expect(report.store).toMatchObject({
      directory: user.store,
      exists: true,
      mode: '0700',
      keys: 1,
      unreadable: [{ keyId: damaged }],
    });
    expect(report.findings).toContainEqual({
      severity: 'warning',
      code: 'store_corrupt',
      message: expect.stringContaining(damaged) as string,
    });
    expect(text).toMatch(/^ {2}permissions {9}0700, belongs to this user$/m);
    expect(text).toMatch(/^ {2}keys {16}1$/m);
    expect(text).toMatch(/^ {2}unreadable records {2}1$/m);
  });

  test('it reports missing permission for the socket', async () => {
    await chmod(tpm.socketPath, 0);
    const diagnosis = await doctor({ env, under: withoutPrivileges });
    expect(diagnosis.code).toBe(1);
    expectFinding(diagnosis, {
      severity: 'error',
      code: 'permission_denied',
      message: expect.stringContaining(
        'Give the user read and write access to the socket',
      ) as string,
    });
  });

  test('it stops waiting for a TPM that does not answer', async () => {
    tpm.pause();
    const { code, report } = await doctor({ env }, '--timeout-ms', '50');
    tpm.resume();
    expect(code).toBe(1);
    expect(report.findings[0]).toMatchObject({
      severity: 'error',
      code: 'device_timeout',
      message: expect.stringContaining('raise --timeout-ms') as string,
    });
  });

  test('a file in place of the store is not reported as writable', async () => {
    const file = path.join(user.home, 'file');
    await writeFile(file, '', { mode: 0o700 });
    const { code, report } = await doctor({ env }, '--directory', file);
    expect({ code, writable: report.store?.writable }).toEqual({ code: 1, writable: false });
  });

  test('a store that others can write is refused, until its cure is run', async () => {
    await createKey();
    await chmod(user.store, 0o777);
    const { code, report, text } = await doctor({ env });
    expect(code).toBe(1);
    expect(report).toMatchObject({ usable: false, store: { mode: '0777' } });
    expect(report.findings).toContainEqual({
      severity: 'error',
      code: 'store_insecure',
      message: expect.stringContaining('can be written by other users') as string,
    });
    expect(text).toContain('0777');

    await runCure(report, 'store_insecure');
    expect((await doctor({ env })).code).toBe(0);
  });

  test.each([0o500, 0o600])('a store with permissions %o cannot take keys', async (mode) => {
    await createKey();
    await chmod(user.store, mode);
    const { code, report } = await doctor({ env, under: withoutPrivileges });
    expect(code).toBe(1);
    expect(report.findings).toContainEqual({
      severity: 'error',
      code: 'store_unwritable',
      message: expect.stringContaining(user.store) as string,
    });
    await chmod(user.store, 0o700);
  });

  test('it names a directory in which no store can be created', async () => {
    await mkdir(path.join(user.home, 'locked'), { mode: 0o500 });
    const directory = path.join(user.home, 'locked/keys');
    const { code, report, text } = await doctor(
      { env, under: withoutPrivileges },
      '--directory',
      directory,
    );
    expect(code).toBe(1);
    expect(report.store).toMatchObject({ exists: false, writable: false });
    expect(text).toMatch(/^ {2}state {15}cannot be created$/m);
    expect(report.findings).toContainEqual({
      severity: 'error',
      code: 'store_unwritable',
      message: expect.stringContaining(directory) as string,
    });
  });

  test('it explains an owner password that prevents a storage key', async () => {
    await tpm.tool('tpm2_changeauth', '-c', 'owner', 'secret');
    const { code, report, text } = await doctor({ env });
    expect(code).toBe(1);
    expect(report.findings).toContainEqual({
      severity: 'error',
      code: 'tpm_owner_auth_required',
      message: expect.stringContaining('tpm2_createprimary -C o -P <password>') as string,
    });
    expect(text).toMatch(/^ {2}owner password {3}set$/m);
  });

  describe('that is locked out', () => {
    test('it says that device keys still work, and they do', async () => {
      await lockOut(tpm, user);
      const { code, report, text } = await doctor({ env });
      expect(code).toBe(0);
      expect(report.providers[0]).toMatchObject({ available: true, details: { inLockout: true } });
      expect(report.findings).toContainEqual({
        severity: 'warning',
        code: 'tpm_lockout',
        message: expect.stringContaining('Device keys are exempt and keep working') as string,
      });
      expect(text).toMatch(
        /^ {2}lockout {10}LOCKED OUT, 1 of 1 wrong authorizations, one forgotten every \d+ s$/m,
      );
      await createKey();
    });

    test('it reports a lockout that applies to the storage key', async () => {
      await makeStorageKeyPersistent(tpm);
      await lockOut(tpm, user);
      const args = ['create', '--account', 'user-1', '--client', 'laptop'];
      expect((await user.jsonError(args, { env })).code).toBe('tpm_lockout');

      const { code, report } = await doctor({ env });
      expect(code).toBe(1);
      expect(report.findings).toContainEqual(
        expect.objectContaining({
          severity: 'error',
          code: 'tpm_lockout',
          message: expect.stringContaining('tpm2_dictionarylockout -c') as string,
        }),
      );
    });

    test('its cure ends the lockout', async () => {
      await lockOut(tpm, user);
      await runCure((await doctor({ env })).report, 'tpm_lockout', { TPM2TOOLS_TCTI: tpm.tcti });
      const { report } = await doctor({ env });
      expect(report.findings).toMatchObject([{ code: 'simulator' }]);
    });
  });
});

// Runs the command between backquotes in the message of a finding.
async function runCure(
  report: DoctorReport,
  code: string,
  env: NodeJS.ProcessEnv = {},
): Promise<void> {
  const { message } = report.findings.find((finding) => finding.code === code)!;
  const [, command] = /`([^`]+)`/.exec(message)!;
  await promisify(execFile)('/bin/sh', ['-c', command!], { env: { ...process.env, ...env } });
}

// As tpm2-tools make it: not exempt from lockouts.
async function makeStorageKeyPersistent(tpm: SoftwareTpm): Promise<void> {
  const context = path.join(path.dirname(tpm.socketPath), 'srk.ctx');
  await tpm.tool('tpm2_createprimary', '-C', 'o', '-G', 'ecc', '-c', context);
  await tpm.tool('tpm2_evictcontrol', '-C', 'o', '-c', context, '0x81000001');
  await tpm.tool('tpm2_flushcontext', '-t');
}

// Sends the TPM one wrong password, after which it is in lockout.
async function lockOut(tpm: SoftwareTpm, { home }: CliUser): Promise<void> {
  const context = path.join(home, 'protected.ctx');
  const files = ['-u', path.join(home, 'public'), '-r', path.join(home, 'private')];
  const limits = ['-n', '1', '-t', '10000', '-l', '10000'];
  await tpm.tool('tpm2_dictionarylockout', '-s', ...limits);
  await tpm.tool('tpm2_createprimary', '-C', 'o', '-G', 'ecc', '-p', 'right', '-c', context);
  await tpm.tool('tpm2_flushcontext', '-t');
  await expect(
    tpm.tool('tpm2_create', '-C', context, '-P', 'wrong', '-G', 'ecc', ...files),
  ).rejects.toThrow();
  await tpm.tool('tpm2_flushcontext', '-t');
}
