// The command line on a terminal, in broken pipes, and when it is interrupted.
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

import type { DeviceKeyCreateResponse } from '../../types/v2';
import { CliUser, ended, shown } from '../support/cli';
import { SoftwareTpm } from '../support/swtpm';

describe('device-key', () => {
  let tpm: SoftwareTpm;
  let user: CliUser;
  let env: NodeJS.ProcessEnv;

  beforeEach(async () => {
    tpm = await SoftwareTpm.start();
    user = await CliUser.create();
    env = { DEVICE_KEY_TCTI: tpm.tcti, DEVICE_KEY_ALLOW_SIMULATOR: '1' };
  });

  afterEach(async () => {
    await user.remove();
    await tpm.stop();
  });

  const create = ['create', '--account', 'user-1', '--client', 'laptop'];

  async function createKey(): Promise<string> {
    return ((await user.json(create, { env })) as DeviceKeyCreateResponse).keyId;
  }

  async function keyCount(): Promise<number> {
    return ((await user.json(['list'], { env })) as { keys: unknown[] }).keys.length;
  }

  describe('asks before it deletes', () => {
    test('and deletes after the answer yes', async () => {
      const terminal = user.spawnOnTerminal(['delete', await createKey()], env);
      await shown(terminal, 'of user-1 on laptop? [y/N]');
      terminal.stdin.write('y\r');
      expect((await ended(terminal)).code).toBe(0);
      expect(await keyCount()).toBe(0);
    });

    test.each([
      ['no', 'n\r', 1],
      ['nothing', '\r', 1],
      ['Ctrl-C', '\x03', 130],
      ['Ctrl-D', '\x04', 1],
    ])('and deletes nothing after %s', async (_, typed, code) => {
      const terminal = user.spawnOnTerminal(['delete', await createKey()], env);
      await shown(terminal, '[y/N]');
      terminal.stdin.write(typed);
      expect((await ended(terminal)).code).toBe(code);
      expect(await keyCount()).toBe(1);
    });

    test('but not for a missing key', async () => {
      const terminal = user.spawnOnTerminal(['delete', `dk_tpm_${'A'.repeat(43)}`], env);
      await shown(terminal, 'key_not_found');
    });
  });

  describe('while the TPM does not answer', () => {
    test('says on a terminal that it waits, and Ctrl-C ends it', async () => {
      tpm.pause();
      const terminal = user.spawnOnTerminal(create, env);
      await shown(terminal, 'waiting for the hardware');
      terminal.stdin.write('\x03');
      expect((await ended(terminal)).code).toBe(130);
      tpm.resume();
      expect(await keyCount()).toBe(0);
    });

    test.each<[string, string[], NodeJS.Signals, number]>([
      ['create', create, 'SIGINT', 130],
      ['doctor', ['doctor'], 'SIGINT', 130],
      ['doctor', ['doctor'], 'SIGTERM', 143],
    ])('%s %j ends at %s with %i', async (_, args, signal, exitCode) => {
      tpm.pause();
      const child = user.spawn([...args, '--json'], { env });
      await startOfHardwareThread(child.pid!);
      child.kill(signal);
      const { code, stdout, stderr } = await ended(child);
      tpm.resume();
      expect({ code, stdout }).toEqual({ code: exitCode, stdout: '' });
      expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'canceled' } });
    });
  });

  test('ends with 130 when it is interrupted while reading', async () => {
    const child = user.spawnOnTerminal(['sign', await createKey()], env);
    await shown(child, 'reading the payload from the terminal');
    child.stdin.write('\x03');
    expect((await ended(child)).code).toBe(130);
  });

  test('app-server ends with 130 when it is interrupted', async () => {
    const child = user.spawn(['app-server'], { env });
    const initialize = { id: 0, method: 'initialize', params: { clientInfo: { name: 'test' } } };
    child.stdin.write(`${JSON.stringify(initialize)}\n`);
    await once(child.stdout, 'data');
    child.kill('SIGINT');
    expect((await ended(child)).code).toBe(130);
  });

  test('ignores a reader that has closed the pipe', async () => {
    const child = user.spawn(['list', '--json'], { env });
    child.stdout.destroy();
    const { code, stderr } = await ended(child);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });

  describe('uses colours', () => {
    test('on a terminal', async () => {
      const { stdout } = await ended(user.spawnOnTerminal(['doctor'], env));
      expect(stdout).toContain('\x1b[32mavailable\x1b[39m');
    });

    test('not with NO_COLOR', async () => {
      const { stdout } = await ended(user.spawnOnTerminal(['doctor'], { ...env, NO_COLOR: '1' }));
      expect(stdout).toContain('available');
      expect(stdout).not.toContain('\x1b[');
    });

    test('not without a terminal', async () => {
      expect((await user.run(['doctor'], { env })).stdout).not.toContain('\x1b[');
    });
  });
});

// Waits until the process has passed an operation to the hardware's thread. At that time it has
// long been listening for signals.
async function startOfHardwareThread(pid: number): Promise<void> {
  for (;;) {
    for (const thread of await readdir(`/proc/${pid}/task`)) {
      const name = await readFile(`/proc/${pid}/task/${thread}/comm`, 'utf8').catch(() => '');
      if (name.trim() === 'device-key-hw') return;
    }
    await delay(5);
  }
}
