// Faults with the kernel's resource manager, in the guest of run-guest.sh: power cuts, a TPM that is
// cleared, many processes, and a program that occupies the TPM's slots.
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';

import { connectionPayload, secondsAhead } from '../support/payloads';
import { SoftwareTpm } from '../support/swtpm';
import { expectedKeys, report, toSteps, whole } from './faults';

jest.setTimeout(3 * 3_600_000);
const root = path.join(__dirname, '../..');
const boots = whole ? 50 : 2;
const bootLimitSeconds = 480;
const payload = () => connectionPayload({ tokenExpiresAt: secondsAhead(600) });

let stage: string;
let kept: string;

beforeAll(async () => {
  stage = await mkdtemp('/tmp/dk-guest-stage-');
  kept = path.join(stage, 'kept');
  await mkdir(kept);
  const work = path.join(stage, 'work');
  for (const file of ['package.json', 'dist', 'types', 'build/Release/device_key.node']) {
    await cp(path.join(root, file), path.join(work, file), { recursive: true });
  }
  const scripts = ['guest/power-cut.cjs', 'guest/cleared.cjs', 'guest/crowd.cjs'];
  for (const script of [...scripts, 'children/live.cjs']) {
    await cp(path.join(__dirname, script), path.join(work, path.basename(script)));
  }
});
afterAll(() => rm(stage, { recursive: true }));

interface Run {
  code: number | string;
  stdout: string;
  stderr: string;
}

async function runInGuest(options: string[], script: string, input: object): Promise<Run> {
  const args = [
    ...['--pdeathsig', 'TERM', path.join(root, 'test/support/run-guest.sh')],
    ...['-t', String(bootLimitSeconds), ...options, path.join(stage, 'work')],
    ...['node', script, JSON.stringify(input)],
  ];
  return new Promise((resolve) => {
    execFile('setpriv', args, { maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      resolve({ code: error?.code ?? 0, stdout, stderr });
    });
  });
}

interface Boot {
  journal: string;
  leftovers: string[];
  keys: { keyId: string; problem: string | null }[];
  files: string[];
}

// The next boot of the machine in `kept`, with power-cut.cjs.
async function boot(powerCutAfterMs: number | null): Promise<Boot> {
  const run = await runInGuest(['-k', kept], 'power-cut.cjs', {
    payload: payload(),
    powerCutAfterMs,
  });
  // 125: the guest ended without a status. The console is then on standard error.
  if (powerCutAfterMs === null) expect(run).toMatchObject({ code: 0, stderr: '' });
  else expect(run).toMatchObject({ code: 125 });
  return JSON.parse(run.stdout.split('\n', 1)[0] ?? '') as Boot;
}

// The firmware's set-up clears a TPM in the same way, before the kernel starts.
async function clearTpm(): Promise<void> {
  const tpm = await SoftwareTpm.start();
  try {
    await tpm.kill();
    tpm.stateDirectory = path.join(kept, 'tpm');
    await tpm.powerOn();
    await tpm.tool('tpm2_clear', '--auth-hierarchy', 'platform');
  } finally {
    await tpm.stop();
  }
}

interface Cleared {
  old: { keyId: string; sign: string; remove: string }[];
  made: { keyId: string; sign: string };
  listed: string[];
}

// Each test boots the machine that the test before it left.
describe('one machine, boot after boot', () => {
  test('power cuts in the middle of everything lose no key', async () => {
    let leftovers = 0;
    for (let i = 1; i <= boots; ++i) {
      // The guest's emulated processor is slow: one life of a key takes about 0.2 s.
      const state = await boot(i === boots ? null : 300 + Math.random() * 4000);
      const { present, absent } = expectedKeys(toSteps(state.journal));
      const ids = state.keys.map(({ keyId }) => keyId);
      expect(state.keys.filter(({ problem }) => problem)).toEqual([]);
      expect(ids).toEqual(expect.arrayContaining(present));
      expect(ids.filter((id) => absent.includes(id))).toEqual([]);
      expect(state.files.sort()).toEqual(ids.map((id) => `${id}.json`).sort());
      leftovers += state.leftovers.length;
    }
    report(
      'power cut, /dev/tpmrm0 in QEMU',
      boots - 1,
      `no key lost, every listed key signs, ${leftovers} leftover files removed`,
    );
  });

  test('a TPM that was cleared loses its keys with key_lost, and takes new ones', async () => {
    await clearTpm();
    const run = await runInGuest(['-k', kept], 'cleared.cjs', { payload: payload() });
    expect(run).toMatchObject({ code: 0, stderr: '' });
    const { old, made, listed } = JSON.parse(run.stdout) as Cleared;
    expect(old).not.toEqual([]);
    for (const key of old) {
      expect(key).toMatchObject({ sign: 'DeviceKeyError key_lost', remove: 'fulfilled' });
    }
    expect(made).toEqual({ keyId: expect.stringMatching(/^dk_tpm_/) as string, sign: 'fulfilled' });
    expect(listed).toEqual([made.keyId]);

    const { keys, files } = await boot(null);
    expect(keys).toEqual([{ keyId: made.keyId, problem: null }]);
    expect(files).toEqual([`${made.keyId}.json`]);
    report(
      'TPM cleared between boots, /dev/tpmrm0 in QEMU',
      1,
      `${old.length} keys read key_lost, a new key signs in two boots`,
    );
  });
});

interface Crowd {
  steps: string[];
  inspection: { keys: number; problems: string[] };
  starvation: { held: number; starved: string; after: string };
  handles: string;
}

test('many processes, and a program that holds the slots of the TPM, are survived', async () => {
  const processes = 8;
  const lives = whole ? 40 : 2;
  const run = await runInGuest([], 'crowd.cjs', { payload: payload(), processes, lives });
  expect(run).toMatchObject({ code: 0, stderr: '' });
  const { steps, inspection, starvation, handles } = JSON.parse(run.stdout) as Crowd;

  expect(steps.filter((step) => step.includes(' failed '))).toEqual([]);
  // Every second key of live.cjs stays.
  expect(inspection).toEqual({ keys: (processes * lives) / 2, problems: [] });
  report('8 processes, /dev/tpmrm0 in QEMU', steps.length / 2, 'no operation failed');

  expect(starvation.held).toBeGreaterThanOrEqual(3);
  expect(['signed', 'device_busy']).toContain(starvation.starved);
  expect(starvation.after).toBe('signed');
  report('slots held at /dev/tpm0', 1, `${starvation.starved}, then service again`);
  expect(handles).toBe('');
});
