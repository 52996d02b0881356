// Faults with the kernel's resource manager, in the guest of run-guest.sh: power cuts, a TPM that is
// cleared, many processes, and a program that occupies the TPM's slots.
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';

import { connectionPayload, secondsAhead } from '../support/payloads';
import { SoftwareTpm } from '../support/swtpm';
import { at, expectedKeys, report, toSteps, whole } from './faults';

jest.setTimeout(3 * 3_600_000);
const root = path.join(__dirname, '../..');
const boots = whole ? 50 : 2;
// Many times what a boot takes on an idle machine, with the longest waits of crowd.cjs.
const bootLimitSeconds = whole ? 1800 : 900;
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
  await cp(path.join(__dirname, 'guest'), work, { recursive: true });
  await cp(path.join(__dirname, 'children/live.cjs'), path.join(work, 'live.cjs'));
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

function expectJournaled({ journal, keys, files }: Boot): void {
  const { present, absent } = expectedKeys(toSteps(journal));
  const ids = keys.map(({ keyId }) => keyId);
  expect(keys.filter(({ problem }) => problem)).toEqual([]);
  expect(ids).toEqual(expect.arrayContaining(present));
  expect(ids.filter((id) => absent.includes(id))).toEqual([]);
  expect(files.sort()).toEqual(ids.map((id) => `${id}.json`).sort());
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
    let earlierCutMs: number | null = null;
    for (let i = 1; i <= boots; ++i) {
      // The guest's emulated processor is slow: one life of a key takes about 0.2 s.
      const cutMs = i === boots ? null : 300 + Math.random() * 4000;
      const state = await boot(cutMs);
      await at(`powerCutAfterMs ${earlierCutMs}, before boot ${i}`, () => expectJournaled(state));
      earlierCutMs = cutMs;
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
  undisturbed: { ended: (number | string)[]; steps: string };
  starved: { ended: (number | string)[]; steps: string; taken: number[] };
  keys: { keyId: string; problem: string | null }[];
  elsewhere: { during: string; after: string };
  loaded: string;
}

test('many processes, and a program that takes the slots of the TPM, are survived', async () => {
  const processes = 8;
  const run = await runInGuest([], 'crowd.cjs', {
    payload: payload(),
    processes,
    lives: whole ? 40 : 2,
    starvedSeconds: whole ? 150 : 10,
  });
  expect(run).toMatchObject({ code: 0, stderr: '' });
  const { keys, elsewhere, loaded, ...progress } = JSON.parse(run.stdout) as Crowd;

  const allWell = Array.from({ length: processes }, () => 0);
  expect(progress.undisturbed.ended).toEqual(allWell);
  expect(progress.starved.ended).toEqual(allWell);
  const steps = toSteps(progress.undisturbed.steps);
  expect(steps.filter(({ state }) => state === 'failed')).toEqual([]);
  report(`${processes} processes, /dev/tpmrm0 in QEMU`, steps.length / 2, 'no operation failed');

  const starved = toSteps(progress.starved.steps);
  const failed = starved.filter(({ state }) => state === 'failed');
  const done = starved.filter(({ state }) => state === 'done');
  expect(Math.max(...progress.starved.taken)).toBeGreaterThanOrEqual(3);
  expect(failed).not.toEqual([]);
  expect(done.filter(({ name }) => name === 'sign')).not.toEqual([]);
  expect(failed.filter(({ errorCode }) => errorCode !== 'device_busy')).toEqual([]);
  expect(done.length + failed.length).toBe(starved.length / 2);

  const { present, absent } = expectedKeys([...steps, ...starved]);
  const ids = keys.map(({ keyId }) => keyId);
  expect(keys.filter(({ problem }) => problem)).toEqual([]);
  expect(ids).toEqual(expect.arrayContaining(present));
  expect(ids.filter((id) => absent.includes(id))).toEqual([]);
  expect(ids.filter((id) => !id.startsWith('dk_tpm_'))).toEqual([]);
  report(
    `slots taken at /dev/tpm0 while ${processes} processes work`,
    progress.starved.taken.length,
    `${failed.length} of ${starved.length / 2} operations device_busy, then service again`,
  );

  expect(elsewhere).toEqual({ during: 'DeviceKeyError device_busy', after: 'hardware_tpm' });
  report('/dev/tpm0 open elsewhere', 1, 'device_busy, then service again');
  expect(loaded).toBe('');
});
