// The demonstration, as a reader of the README runs it, and the proof verifier that it teaches.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { generateKeyPairSync, sign } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const example = join(__dirname, '../../examples/remote-control');
const demo = join(example, 'demo.mjs');

/** What --json prints. */
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

/** The demonstration makes all its files below TMPDIR, so what is there, or names it, is its own. */
function environment(): NodeJS.ProcessEnv {
  return { ...process.env, TMPDIR: temporary };
}

function run(args: string[], env = environment()) {
  return spawnSync(process.execPath, [demo, ...args], { env, encoding: 'utf8' });
}

/** Command lines of running processes that name our temporary directory. */
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
  test('shows every step of a key’s life, and leaves nothing behind', () => {
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
      'and nothing was enrolled meanwhile',
      'a statement for another account',
      'a statement for another server',
      'a statement that holds for a year',
      'store closed; a new process connects with the key',
      'key deleted',
      'a signature with the deleted key',
      'nothing stays behind',
    ]);
    expect(processesLeft()).toEqual([]);
    expect(readdirSync(temporary)).toEqual([]);
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

  test('ends its TPM even when it is killed itself', async () => {
    await interrupt('SIGKILL');
    await untilNoProcessIsLeft();
  });

  test('reports a step that fails, and leaves nothing behind', () => {
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

  test('refuses an option that it does not know', () => {
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

describe('verify-proof.mjs', () => {
  const now = 1_800_000_000;
  const expected = {
    type: 'remoteControlClientConnection',
    nonce: 'q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA',
    accountUserId: 'user-alice',
    tokenExpiresAt: now + 60,
    scopes: ['remote_control_controller_websocket'],
  };
  const canonical =
    '{"domain":"codex-device-key-sign-payload/v1","payload":{"accountUserId":"user-alice",' +
    `"nonce":"${expected.nonce}","scopes":["remote_control_controller_websocket"],` +
    `"tokenExpiresAt":${now + 60},"type":"remoteControlClientConnection"}}`;
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });

  /** A proof whose signature is right for these bytes, as a hostile key holder can make. */
  function signed(bytes: string | Buffer, algorithm = 'ecdsa_p256_sha256') {
    return {
      algorithm,
      signedPayloadBase64: Buffer.from(bytes).toString('base64'),
      signatureDerBase64: sign('sha256', Buffer.from(bytes), privateKey).toString('base64'),
    };
  }

  /** "accepted", or the refusal's code. In a process of its own: Jest cannot import .mjs files. */
  function verdict(
    proof: object,
    { spki = publicKey.export({ format: 'der', type: 'spki' }), at = now } = {},
  ): string {
    const script = `
      const { importPublicKey, verifyProof } = await import(process.argv[1]);
      const { spki, ...options } = JSON.parse(process.argv[2]);
      try {
        verifyProof({ ...importPublicKey(spki), ...options });
        console.log('accepted');
      } catch (error) {
        console.log(error.code);
      }`;
    const input = JSON.stringify({ spki: spki.toString('base64'), proof, expected, now: at });
    const url = pathToFileURL(join(example, 'verify-proof.mjs')).href;
    const args = ['--input-type=module', '-e', script, url, input];
    return execFileSync(process.execPath, args, { encoding: 'utf8' }).trim();
  }

  test('accepts the canonical bytes of what it expects', () => {
    expect(verdict(signed(canonical))).toBe('accepted');
  });

  test.each([
    ['white space', canonical.replace(',', ', '), 'not_canonical'],
    ['a member twice', canonical.replace('{"acc', '{"accountUserId":"x","acc'), 'not_canonical'],
    ['an escape that is not needed', canonical.replace('alice', '\\u0061lice'), 'not_canonical'],
    ['a number written otherwise', canonical.replace(/(\d{10})/, '$1.0'), 'not_canonical'],
    ['invalid UTF-8', Buffer.from(`${canonical}\xff`, 'latin1'), 'not_canonical'],
    ['another domain', canonical.replace('payload/v1', 'payload/v2'), 'wrong_domain'],
    ['another type', canonical.replace('ClientConn', 'ClientEnr'), 'wrong_member'],
    ['another account', canonical.replace('alice', 'mallory'), 'wrong_member'],
    ['a member more', canonical.replace('{"acc', '{"a":1,"acc'), 'wrong_member'],
    ['a member less', canonical.replace('"accountUserId":"user-alice",', ''), 'wrong_member'],
    ['more beside the payload', canonical.replace(/}$/, ',"z":1}'), 'wrong_member'],
    ['no object at all', 'null', 'wrong_domain'],
  ])('refuses rightly signed bytes with %s', (_, bytes, code) => {
    expect(verdict(signed(bytes))).toBe(code);
  });

  test('refuses a proof from the second at which its token expires', () => {
    expect(verdict(signed(canonical), { at: expected.tokenExpiresAt - 1 })).toBe('accepted');
    expect(verdict(signed(canonical), { at: expected.tokenExpiresAt })).toBe('expired');
  });

  test('refuses a signature of other bytes', () => {
    const { signatureDerBase64 } = signed(`${canonical} `);
    expect(verdict({ ...signed(canonical), signatureDerBase64 })).toBe('bad_signature');
  });

  test('refuses base64 that decodes but is not canonical', () => {
    const proof = signed(canonical);
    const spaced = `${proof.signedPayloadBase64}\n`;
    expect(verdict({ ...proof, signedPayloadBase64: spaced })).toBe('malformed');
  });

  test('refuses another algorithm', () => {
    expect(verdict(signed(canonical, 'none'))).toBe('malformed');
  });

  test('refuses a public key on another curve', () => {
    const other = generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey;
    const spki = other.export({ format: 'der', type: 'spki' });
    expect(verdict(signed(canonical), { spki })).toBe('bad_public_key');
  });
});
