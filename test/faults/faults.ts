// Shared by the fault tests: processes with faults, and the check that no key was lost.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

import { runChild } from '../support/child';
import { connectionPayload, secondsAhead } from '../support/payloads';
import { essentialEnvironment } from '../support/platform';
import type { Home } from './homes';

const root = path.join(__dirname, '../..');

// `npm run test:faults` sets it; without it, each test runs a shorter time.
export const whole = process.env['DEVICE_KEY_TEST_FAULTS'] === 'whole';

// A row of the table that `npm run test:faults` prints.
export function report(test: string, faults: number, result: string): void {
  const directory = path.join(root, '.cache/results');
  mkdirSync(directory, { recursive: true });
  appendFileSync(path.join(directory, 'faults.tsv'), `${test}\t${faults}\t${result}\n`);
}

// An error of `check` names the moment of the fault, so that the fault can be repeated.
export async function at(moment: string, check: () => void | Promise<void>): Promise<void> {
  try {
    await check();
  } catch (cause) {
    throw new Error(`after a fault at ${moment}`, { cause });
  }
}

// The compiled library for LD_PRELOAD (fault_at_call.cc).
export async function faultLibrary(directory: string): Promise<string> {
  const library = path.join(directory, 'fault_at_call.so');
  const source = path.join(__dirname, 'fault_at_call.cc');
  await promisify(execFile)('c++', ['-shared', '-fPIC', '-O1', '-Wall', '-o', library, source]);
  return library;
}

export interface Step {
  name: string;
  state: 'begin' | 'done' | 'failed';
  keyId: string;
  errorName: string | undefined;
  errorCode: string | undefined;
  errorMessage: string;
}

export interface Life {
  ended: string; // 'exit 0' or the name of the signal
  steps: Step[];
  stderr: string;
}

export interface Disturbance {
  env?: Record<string, string>;
  // Milliseconds since the first step began.
  killAfterMs?: number;
  // How long children/live.cjs works; without both, for two lives.
  lives?: number;
  seconds?: number;
}

const payload = () => connectionPayload({ tokenExpiresAt: secondsAhead(600) });
let processes = 0;

// Runs children/live.cjs in `home` until it ends or is killed.
export async function live(home: Home, disturbance: Disturbance): Promise<Life> {
  processes += 1;
  const progress = path.join(path.dirname(home.directory), `progress-${processes}`);
  const input = {
    options: home.options,
    payload: payload(),
    progress,
    lives: disturbance.lives ?? 2,
    seconds: disturbance.seconds,
  };
  const script = path.join(__dirname, 'children/live.cjs');
  const child = spawn(
    'setpriv',
    ['--pdeathsig', 'KILL', process.execPath, script, JSON.stringify(input)],
    {
      cwd: root,
      env: { ...essentialEnvironment, ...home.environment, ...disturbance.env },
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: whole ? 1_200_000 : 120_000,
      killSignal: 'SIGKILL',
    },
  );
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const closed = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  if (disturbance.killAfterMs !== undefined) {
    while (!existsSync(progress) && child.exitCode === null) await sleep(2);
    await sleep(disturbance.killAfterMs);
    child.kill('SIGKILL');
  }
  const [code, signal] = await closed;
  await home.settle();
  const steps = toSteps(existsSync(progress) ? readFileSync(progress, 'utf8') : '');
  await rm(progress, { force: true });
  return { ended: signal ?? `exit ${code}`, steps, stderr };
}

// The functions that the addon calls in one run of children/live.cjs, in their order.
export async function callsOfOneRun(home: Home, library: string): Promise<string[]> {
  const file = path.join(path.dirname(home.directory), 'calls');
  const { ended } = await live(home, {
    env: { LD_PRELOAD: library, FAULT_AT_CALL: `list:${file}` },
  });
  if (ended !== 'exit 0') throw new Error(`live.cjs ended with ${ended}`);
  return readFileSync(file, 'utf8').trim().split('\n');
}

async function sleep(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

// The steps that a process has recorded; the last line may be incomplete.
export function toSteps(progress: string): Step[] {
  const lines = progress.split('\n').slice(0, -1);
  return lines.map((line) => {
    const [name = '', state = '', keyId = '', errorName, errorCode, ...message] = line.split(' ');
    return {
      name,
      state: state as Step['state'],
      keyId,
      errorName,
      errorCode,
      errorMessage: message.join(' '),
    };
  });
}

// The keys that must exist after `steps`, those that must not, and those whose deletion was not
// confirmed, which may exist. The key of a creation that was not confirmed is in no list.
export function expectedKeys(steps: Step[]): {
  present: string[];
  absent: string[];
  either: string[];
} {
  const state = new Map<string, 'present' | 'absent' | 'either'>();
  for (const { name, state: progress, keyId } of steps) {
    if (name === 'create' && progress === 'done') state.set(keyId, 'present');
    if (name === 'delete') state.set(keyId, progress === 'done' ? 'absent' : 'either');
  }
  const of = (wanted: string) => [...state].filter(([, is]) => is === wanted).map(([id]) => id);
  return { present: of('present'), absent: of('absent'), either: of('either') };
}

// Checks `home` from a new process, as after a day: the keys that must exist exist and sign,
// deleted keys are gone, a deletion that was not confirmed can be completed, and nothing else is left
// in the directory or in the token. Removes the keys of `steps`, so that the home does not grow.
export async function expectNothingLost(home: Home, steps: Step[]): Promise<void> {
  const { present, absent, either } = expectedKeys(steps);
  const before = await inspect(home, []);
  // A key in a token is deleted before its record.
  const halfDeleted = before
    .filter(({ keyId, problem }) => problem?.startsWith('key_lost:') && either.includes(keyId))
    .map(({ keyId }) => keyId);
  if (halfDeleted.length > 0) await inspect(home, halfDeleted);
  const keys = before.filter(({ keyId }) => !halfDeleted.includes(keyId));
  expect(keys.filter(({ problem }) => problem)).toEqual([]);
  const ids = keys.map(({ keyId }) => keyId);
  expect(ids).toEqual(expect.arrayContaining(present));
  expect(ids.filter((id) => absent.includes(id))).toEqual([]);

  expect((await readdir(home.directory)).sort()).toEqual(ids.map((id) => `${id}.json`).sort());
  const kept = await home.keysInHardware();
  if (kept !== null) expect(kept).toBe(ids.length);
  if (ids.length > 6) await inspect(home, ids.slice(1));
}

interface InspectedKey {
  keyId: string;
  problem: string | null;
}

async function inspect(home: Home, remove: string[]): Promise<InspectedKey[]> {
  const input = { options: home.options, payload: payload(), remove };
  const { output, stderr } = await runChild<InspectedKey[] | null>(
    '../../faults/children/inspect.cjs',
    input,
    { env: home.environment, limitMs: 600_000 },
  );
  if (!output) throw new Error(`the store could not be inspected: ${stderr}`);
  return output;
}
