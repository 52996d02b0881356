// Faults with the kernel's resource manager, in the guest of run-guest.sh: power cuts, many
// processes, and a program that occupies the TPM's slots.
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';

import { connectionPayload, secondsAhead } from '../support/payloads';
import { at, expectedKeys, report, toSteps, whole } from './faults';

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
  for (const script of ['guest/power-cut.cjs', 'guest/crowd.cjs', 'children/live.cjs']) {
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
  keys: { keyId: string; problem: string | null }[];
}

function expectJournaled({ journal, keys }: Boot): void {
  const { present, absent } = expectedKeys(toSteps(journal));
  const ids = keys.map(({ keyId }) => keyId);
  expect(keys.filter(({ problem }) => problem)).toEqual([]);
  expect(ids).toEqual(expect.arrayContaining(present));
  expect(ids.filter((id) => absent.includes(id))).toEqual([]);
}

test('power cuts in the middle of everything lose no key', async () => {
  let earlierCutMs: number | null = null;
  // The guest's emulated processor is slow: one life of a key takes about 0.2 s.
  for (let boot = 0; boot < boots; ++boot) {
    const last = boot + 1 === boots;
    const powerCutAfterMs = last ? null : 300 + Math.random() * 4000;
    const run = await runInGuest(['-k', kept], 'power-cut.cjs', {
      payload: payload(),
      powerCutAfterMs,
    });
    // 125: the guest ended without a status.
    expect({ boot, code: run.code, stderr: last || run.code !== 125 ? run.stderr : '' }).toEqual({
      boot,
      code: last ? 0 : 125,
      stderr: '',
    });
    const state = JSON.parse(run.stdout.split('\n', 1)[0] ?? '') as Boot;
    await at(`powerCutAfterMs ${earlierCutMs}, before boot ${boot}`, () => expectJournaled(state));
    earlierCutMs = powerCutAfterMs;
  }
  report('power cut, /dev/tpmrm0 in QEMU', boots - 1, 'no key lost, every listed key signs');
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
