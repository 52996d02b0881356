// The command line on Windows: its directory, its doctor, and an app-server with files for its
// standard input and output.
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { binary, CliUser } from '../support/cli';
import { binding } from '../support/payloads';
import { essentialEnvironment } from '../support/platform';
import { behave } from '../support/windows/stand-in-key-store';

let user: CliUser;

beforeEach(async () => {
  behave();
  user = await CliUser.create();
});
afterEach(async () => {
  behave();
  await user.remove();
});

const create = ['create', '--account', 'user-1', '--client', 'laptop'];

test.each([
  ['%LOCALAPPDATA%\\device-keys', 'LOCALAPPDATA', 'local', 'local/device-keys'],
  ['%USERPROFILE%\\AppData\\Local\\device-keys', 'USERPROFILE', '', 'AppData/Local/device-keys'],
  ['DEVICE_KEY_HOME', 'DEVICE_KEY_HOME', 'chosen', 'chosen'],
])('records are kept in %s', async (_, variable, value, directory) => {
  const env = { [variable]: path.join(user.home, value) };
  const { keyId } = (await user.json(create, { env })) as { keyId: string };
  expect(existsSync(path.join(user.home, directory, `${keyId}.json`))).toBe(true);
});

test('doctor succeeds with a TPM', async () => {
  const { code, stdout } = await user.run(['doctor']);
  expect(stdout).toMatch(/cng-platform/);
  expect(code).toBe(0);
});

test('doctor names the cure if there is no TPM', async () => {
  behave('no-tpm');
  const { code, stdout } = await user.run(['doctor']);
  expect(stdout).toMatch(/no TPM that Windows can use; enable it .* in the firmware's set-up/);
  expect(code).toBe(1);
});

test('doctor reports that a TPM is not ready, also if Windows cannot tell whether there is one', async () => {
  behave('not-ready', 'no-tbs');
  const { code, stdout } = await user.run(['doctor']);
  expect(stdout).toMatch(/The TPM is not ready/);
  expect(code).toBe(1);
});

test('an app-server reads and writes files', () => {
  const [input, output] = ['in.jsonl', 'out.jsonl'].map((name) => path.join(user.home, name));
  const messages = [
    { id: 1, method: 'initialize', params: {} },
    { method: 'initialized' },
    { id: 2, method: 'device/key/create', params: binding },
    { id: 3, method: 'device/key/public', params: { keyId: 'dk_tpm_nonsense' } },
  ];
  writeFileSync(input!, messages.map((message) => `${JSON.stringify(message)}\n`).join(''));
  const files = [openSync(input!, 'r'), openSync(output!, 'w')];
  const { status } = spawnSync(process.execPath, [binary, 'app-server'], {
    stdio: [...files, 'inherit'],
    env: { ...essentialEnvironment, USERPROFILE: user.home },
  });
  for (const file of files) closeSync(file);
  expect(status).toBe(0);
  const answers = readFileSync(output!, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { id: number });
  expect(answers.find(({ id }) => id === 2)).toMatchObject({
    result: { protectionClass: 'hardware_tpm' },
  });
  expect(answers.find(({ id }) => id === 3)).toMatchObject({ error: { code: -32600 } });
});
