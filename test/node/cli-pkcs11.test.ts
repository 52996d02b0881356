// The command line with a PKCS#11 token: SoftHSM, on a machine without a TPM.
import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import type { DeviceKeyCreateResponse } from '../../types/v2';
import { CliUser, connectionPayload, ended, shown } from '../support/cli';
import { SoftHsm, softHsmModule } from '../support/softhsm';

let hsm: SoftHsm;
let user: CliUser;
let env: NodeJS.ProcessEnv;

beforeEach(async () => {
  hsm = await SoftHsm.make();
  await hsm.addToken('device keys');
  user = await CliUser.create();
  env = {
    ...hsm.environment,
    DEVICE_KEY_TCTI: 'device:/dev/no-tpm-here',
    DEVICE_KEY_PKCS11_MODULE: softHsmModule,
  };
});

afterEach(async () => {
  await user.remove();
  await hsm.remove();
});

const create = [
  ...['create', '--account', 'user-1', '--client', 'laptop'],
  ...['--policy', 'allow_os_protected_nonextractable'],
];

async function createKey(): Promise<DeviceKeyCreateResponse> {
  const withPin = { ...env, DEVICE_KEY_PKCS11_PIN: hsm.pin };
  return (await user.json(create, { env: withPin })) as DeviceKeyCreateResponse;
}

test('module, token and PIN come from options', async () => {
  await hsm.addToken('another');
  const pinFile = path.join(user.home, 'pin');
  await writeFile(pinFile, hsm.pin);
  const options = ['--pkcs11-module', softHsmModule, '--pkcs11-token', 'another'];
  const { keyId } = (await user.json([...create, ...options, '--pkcs11-pin-file', pinFile], {
    env: hsm.environment,
  })) as DeviceKeyCreateResponse;
  expect(await hsm.tool(['--token-label', 'another', '--list-objects'])).toContain(keyId);
});

test('a malformed option is named', async () => {
  const { code, stderr } = await user.run([...create, '--pkcs11-token', 'pkcs11:tok'], { env });
  expect(code).toBe(2);
  expect(stderr).toContain('pkcs11.token');
});

test('without a terminal a missing PIN is an error', async () => {
  expect((await user.jsonError(create, { env })).code).toBe('pin_required');
});

test('on a terminal it asks for the PIN and does not show it', async () => {
  const terminal = user.spawnOnTerminal(create, env);
  const typed = shown(terminal, 'PIN of the token "device keys": ').then(() => {
    terminal.stdin.write(`${hsm.pin}\r`);
  });
  const { code, stdout } = await ended(terminal);
  await typed;
  expect(code).toBe(0);
  expect(stdout).toContain('dk_osn_');
  expect(stdout).not.toContain(hsm.pin);
});

test.each([
  ['Ctrl-C', '\x03', 130],
  ['Ctrl-D', '\x04', 1],
])('after %s instead of the PIN no key is made', async (_, typed, exitCode) => {
  const terminal = user.spawnOnTerminal(create, env);
  const asked = shown(terminal, 'PIN of the token').then(() => terminal.stdin.write(typed));
  expect((await ended(terminal)).code).toBe(exitCode);
  await asked;
  expect(await user.json(['list'], { env })).toMatchObject({ keys: [] });
});

test('a key made in a token signs', async () => {
  const { keyId } = await createKey();
  const input = JSON.stringify(connectionPayload('user-1', 'laptop'));
  const proof = await user.json(['sign', keyId], {
    env: { ...env, DEVICE_KEY_PKCS11_PIN: hsm.pin },
    input,
  });
  expect(proof).toMatchObject({ algorithm: 'ecdsa_p256_sha256' });
});

describe('doctor', () => {
  test('shows the token for new keys', async () => {
    const { code, stdout } = await user.run(['doctor'], {
      env: { ...env, DEVICE_KEY_PKCS11_PIN: hsm.pin },
    });
    expect(code).toBe(1); // it is not hardware
    expect(stdout).toMatch(/^pkcs11 {2}os_protected_nonextractable {2}available$/m);
    expect(stdout).toMatch(/^ {2}module +\S*libsofthsm2\.so$/m);
    expect(stdout).toMatch(/^ {2}token +pkcs11:\S*token=device%20keys\S*; for new keys$/m);
    expect(stdout).toContain('--policy allow_os_protected_nonextractable');
  });

  test('reports why a token cannot hold keys', async () => {
    const empty = await SoftHsm.make();
    const { stdout } = await user.run(['doctor'], { env: { ...env, ...empty.environment } });
    await empty.remove();
    expect(stdout).toMatch(/cannot hold device keys: it has not been initialized$/m);
  });

  test('reports that the last PIN was wrong', async () => {
    await user.run(create, { env: { ...env, DEVICE_KEY_PKCS11_PIN: 'wrong one' } });
    const { stdout } = await user.run(['doctor'], { env });
    expect(stdout).toMatch(/; the last PIN was wrong$/m);
  });
});
