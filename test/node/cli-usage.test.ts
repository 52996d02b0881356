// The help texts of the command line, and its errors for invalid command lines.
import { readFileSync } from 'node:fs';
import path from 'node:path';

import { CliUser } from '../support/cli';

const commands = [
  ...['doctor', 'create', 'public', 'sign', 'verify', 'attest', 'list', 'delete', 'app-server'],
  ...['self-test', 'dpop create', 'dpop sign'],
];

const commonOptions = [
  '--directory',
  '--tcti',
  '--allow-simulator',
  '--timeout-ms',
  '--json',
  '--help',
  '--version',
];

let user: CliUser;

beforeAll(async () => {
  user = await CliUser.create();
});

afterAll(async () => {
  await user.remove();
});

describe('--help', () => {
  test('lists every command and what the exit codes mean', async () => {
    const { code, stdout, stderr } = await user.run(['--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const name of commands) expect(stdout).toMatch(new RegExp(`^  ${name} +[a-z]`, 'm'));
    expect(stdout).toMatch(/^Exit codes:\n {2}0 .*\n {2}1 .*\n {2}2 .*\n {2}130 /m);
  });

  test.each(commands)('of %s has its usage, all options and an example', async (name) => {
    const { code, stdout, stderr } = await user.run([...name.split(' '), '--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(new RegExp(`^Usage: device-key ${name} `));
    for (const option of commonOptions) expect(stdout).toContain(`\n  ${option} `);
    expect(stdout).toMatch(new RegExp(`^Examples?:\\n[^]*device-key ${name}`, 'm'));
  });

  test.each(['', ...commands])('of "%s" fits into 100 columns', async (name) => {
    const { stdout } = await user.run([...name.split(' '), '--help'].filter(Boolean));
    const longest = Math.max(...stdout.split('\n').map((line) => line.length));
    expect(longest).toBeLessThanOrEqual(100);
  });

  test.each([
    ['sign -h', 'sign --help'],
    ['help sign', 'sign --help'],
    ['help dpop sign', 'dpop sign --help'],
    ['dpop --json sign -h', 'dpop sign --json --help'],
    ['help', '--help'],
    ['', '--help'],
  ])('is what "device-key %s" prints too', async (line, sameAs) => {
    const result = await user.run(line.split(' ').filter(Boolean));
    expect(result).toEqual(await user.run(sameAs.split(' ')));
  });

  test.each(['', ...commands])('of "%s" is in docs/cli.md unchanged', async (name) => {
    const { stdout } = await user.run([...name.split(' '), '--help'].filter(Boolean));
    const page = readFileSync(path.join(__dirname, '../../docs/cli.md'), 'utf8');
    expect(page).toContain(stdout.trimEnd().split(/\nOptions of every command:[^]*?\n\n/)[0]);
  });
});

test.each(['--version', '-V'])('%s prints the version of the package', async (option) => {
  const manifest = readFileSync(path.join(__dirname, '../../package.json'), 'utf8');
  const { version } = JSON.parse(manifest) as { version: string };
  expect((await user.run([option])).stdout).toBe(`${version}\n`);
  expect(await user.json([option])).toEqual({ version });
});

describe('errors in the command line', () => {
  const account = ['--account', 'user-1'];
  const client = ['--client', 'laptop'];

  test.each<[string, string[], string]>([
    ['a misspelt command', ['sing'], 'did you mean sign?'],
    ['the beginning of a command', ['app'], 'did you mean app-server?'],
    ['half a command', ['dpop'], 'did you mean dpop create?'],
    ['an unknown command', ['frobnicate'], 'there are doctor, create'],
    ['an option of objects', ['list', '--constructor'], '--help lists the options'],
    ['a misspelt option', ['sign', '--paylaod', 'x'], 'did you mean --payload?'],
    ['a misspelt common option', ['list', '--jsno'], 'did you mean --json?'],
    ["another command's option", ['list', '--payload', 'x'], 'no option "--payload"'],
    ['an option without its value', ['create', '--account'], '--account needs a value'],
    ['an option for a value', ['create', '--account', '--client'], '--account needs a value'],
    ['a value for a flag', ['list', '--json=yes'], '--json takes no value'],
    ['an option given twice', ['create', ...account, ...account], '--account is given twice'],
    ['no account', ['create', ...client], '--account is missing'],
    ['no client', ['create', ...account], '--client is missing'],
    ['no key', ['public'], 'KEY_ID is missing'],
    ['no step of an attestation', ['attest', 'a'], '--challenge is missing, or --activate'],
    [
      'both steps of an attestation',
      ['attest', 'a', '--challenge', 'b', '--activate', 'c'],
      'give one of them',
    ],
    ['two keys', ['public', 'a', 'b'], 'too many arguments'],
    ['an unknown policy', ['create', ...account, ...client, '--policy', 'any'], 'hardware_only or'],
    ['a timeout that is no number', ['list', '--timeout-ms', 'soon'], '--timeout-ms: expected'],
    [
      'a timeout of nothing',
      ['list', '--timeout-ms', '0'],
      '--timeout-ms: expected an integer from 1',
    ],
    ['a malformed TCTI', ['list', '--tcti', ' '], 'tcti: expected'],
    ['an empty directory', ['list', '--directory='], '--directory: expected'],
  ])('%s ends with 2 and a hint', async (_, args, hint) => {
    const { code, stdout, stderr } = await user.run(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(hint);
    expect(stderr.trimEnd().split('\n')).toHaveLength(2);
    expect(stderr).toMatch(/\n {2}see `device-key.* --help`\n$/);
    expect((await user.jsonError(args)).code).toBe('usage');
  });
});

test('common options can precede the command', async () => {
  expect(await user.run(['--json', '--timeout-ms', '5', 'list'])).toEqual({
    code: 0,
    stdout: '{"keys":[],"unreadable":[]}\n',
    stderr: '',
  });
});

test('an argument after -- is not an option', async () => {
  const { code, stderr } = await user.run(['public', '--', '--json']);
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: expect.stringMatching(/^device-key: keyId:/) as string,
  });
});

test('a malformed key id is refused without a search', async () => {
  expect(await user.jsonError(['public', '../../etc/passwd'])).toEqual({
    code: 'invalid_params',
    message: expect.not.stringContaining('passwd') as string,
  });
});
