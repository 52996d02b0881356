// The demonstration, run as the README says.
import { spawn, spawnSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const demo = join(__dirname, '../../examples/remote-control/demo.mjs');

/** The output of --json. */
interface Report {
  ok: boolean;
  tpm: string;
  error?: { code?: string; message: string; causes: string[] };
  steps: { title: string; ok: boolean; detail: string }[];
}

let temporary: string;
beforeEach(() => {
  temporary = mkdtempSync(join(tmpdir(), 'demo-test-'));
});
afterEach(() => {
  rmSync(temporary, { recursive: true, force: true });
});

/** The demonstration creates all its files below TMPDIR, so all files there are its own. */
function environment(): NodeJS.ProcessEnv {
  return { ...process.env, TMPDIR: temporary };
}

function run(args: string[], env = environment()) {
  return spawnSync(process.execPath, [demo, ...args], { env, encoding: 'utf8' });
}

/** Command lines of running processes that contain our temporary directory. */
function processesLeft(): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
      } catch {
        return ''; // It has ended meanwhile.
      }
    })
    .filter((commandLine) => commandLine.includes(temporary));
}

async function untilNoProcessIsLeft(): Promise<void> {
  while (processesLeft().length > 0) await new Promise((resolve) => setTimeout(resolve, 20));
}

describe('npm run demo', () => {
  test('shows every step of a key’s life, and leaves no files or processes', () => {
    const { status, stdout } = run(['--json']);
    const report = JSON.parse(stdout) as Report;
    expect(report.error).toBeUndefined();
    expect(report.ok).toBe(true);
    expect(status).toBe(0);
    expect(report.tpm).toContain('protects nothing');
    expect(report.steps.filter(({ ok }) => !ok)).toEqual([]);
    expect(report.steps.map(({ title }) => title)).toEqual([
      'the library finds the TPM',
      'challenge from the backend',
      'device key made in the TPM',
      'enrollment proof signed',
      'backend verifies it and stores the public key',
      'WebSocket opened with the token',
      'connection proof signed',
      'backend verifies it',
      'a message is answered',
      'the token alone, without a proof',
      'a replayed connection proof',
      'a replayed enrollment proof',
      'an enrollment proof used to connect',
      'an edited member, signature kept',
      'one flipped bit, signature kept',
      'a stolen token, used on another device',
      "another account's proof for Alice's challenge",
      'a proof that comes too late',
      'no other key was enrolled',
      'a statement for another account',
      'a statement for another server',
      'a statement that holds for a year',
      'store closed; a new process connects with the key',
      'key deleted',
      'a signature with the deleted key',
      'nothing is left',
    ]);
    expect(processesLeft()).toEqual([]);
    expect(readdirSync(temporary)).toEqual([]);
  });

  test('with --dpop binds tokens to a key, so that a thief cannot use them', () => {
    const { status, stdout } = run(['--dpop', '--json']);
    const report = JSON.parse(stdout) as Report;
    expect(report.error).toBeUndefined();
    expect(status).toBe(0);
    expect(report.steps.filter(({ ok }) => !ok)).toEqual([]);
    const details = new Map(report.steps.map(({ title, detail }) => [title, detail]));
    expect(details.get('the access token opens the resource')).toBe('the user is user-1');
    expect(details.get("the access token with a proof by the thief's key")).toBe(
      'refused: 401 invalid_token',
    );
    expect(details.get("the refresh token with a proof by the thief's key")).toBe(
      'refused: 400 invalid_grant',
    );
    expect(details.get("a code and its PKCE verifier with a proof by the thief's key")).toBe(
      'refused: 400 invalid_grant',
    );
    expect(processesLeft()).toEqual([]);
    expect(readdirSync(temporary)).toEqual([]);
  });

  test('with --attest enrolls the key only when the TPM proves that the key is in it', () => {
    const { status, stdout } = run(['--attest', '--json']);
    const report = JSON.parse(stdout) as Report;
    expect(report.error).toBeUndefined();
    expect({ status, ok: report.ok }).toEqual({ status: 0, ok: true });
    const details = new Map(report.steps.map(({ title, detail }) => [title, detail]));
    expect(details.get('TPM certifies that the key is in it')).toContain('2 certificates');
    expect(details.get('backend stores the proof of the TPM')).toContain(
      'certified by CN=swtpm-localca',
    );
    expect(details.get('a key that only claims to be in a TPM')).toMatch(
      /^refused: attestation_required/,
    );
    expect(details.get('a software key, with the TPM key attested')).toMatch(
      /^refused: attested_key_mismatch/,
    );
    expect(processesLeft()).toEqual([]);
    expect(readdirSync(temporary)).toEqual([]);
  });

  test('with --attest and without swtpm_setup says what to install', () => {
    const bin = join(temporary, 'bin');
    mkdirSync(bin);
    symlinkSync('/usr/bin/swtpm', join(bin, 'swtpm'));
    const { status, stdout } = run(['--attest', '--json'], { ...environment(), PATH: bin });
    const { ok, error } = JSON.parse(stdout) as Report;
    expect({ status, ok }).toEqual({ status: 1, ok: false });
    expect(error?.message).toContain('apt-get install swtpm-tools');
  });

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('ends its TPM and removes its files on %s', async (signal, expected) => {
    const status = await interrupt(signal);
    expect(status).toBe(expected);
    await untilNoProcessIsLeft();
    expect(readdirSync(temporary)).toEqual([]);
  });

  test('ends its TPM even if it is killed', async () => {
    await interrupt('SIGKILL');
    await untilNoProcessIsLeft();
  });

  test('reports a step that fails, and leaves no files or processes', () => {
    const noNetwork = join(temporary, 'no-network.cjs');
    writeFileSync(
      noNetwork,
      "globalThis.fetch = async () => { throw new Error('no', { cause: 'unplugged' }); };",
    );
    const { status, stdout } = run(['--json'], {
      ...environment(),
      NODE_OPTIONS: `--require=${noNetwork}`,
    });
    const { ok, error, steps } = JSON.parse(stdout) as Report;
    expect(ok).toBe(false);
    expect(error).toEqual({ message: 'no', causes: ['unplugged'] });
    expect(steps.map((step) => step.ok)).toEqual([true, false]);
    expect(status).toBe(1);
    rmSync(noNetwork);
    expect(readdirSync(temporary)).toEqual([]);
  });

  test('without swtpm says what to install', () => {
    const empty = join(temporary, 'bin');
    mkdirSync(empty);
    const { status, stdout } = run(['--json'], { ...environment(), PATH: empty });
    const { ok, error } = JSON.parse(stdout) as Report;
    expect(ok).toBe(false);
    expect(error?.code).toBe('swtpm_missing');
    expect(error?.message).toContain('apt-get install swtpm');
    expect(status).toBe(1);
  });

  test('refuses an unknown option', () => {
    const { status, stdout, stderr } = run(['--tmp']);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain("Unknown option '--tmp'");
  });

  /** Starts a run, sends the signal after its first step, and resolves to its exit status. */
  function interrupt(signal: NodeJS.Signals): Promise<number | null> {
    const child = spawn(process.execPath, [demo], { env: environment() });
    child.stdout.on('data', (chunk) => {
      if (String(chunk).includes(' 01 ')) {
        expect(processesLeft()).not.toEqual([]);
        child.kill(signal);
      }
    });
    return new Promise((resolve) => child.on('exit', resolve));
  }
});
