// How processes end that have a store open, with and without operations in flight.
import { Child, type ChildResult } from '../support/child';
import { TestMachine } from '../support/machine';
import { connectionPayload } from '../support/payloads';
import { testUnlessWindows } from '../support/platform';
import type { DeviceKeySignParams } from '../../dist/index.js';

const manyRequests = 1000;

interface Report {
  signed: number;
  errors: string[];
}

let machine: TestMachine;
let params: DeviceKeySignParams;

beforeAll(async () => {
  machine = await TestMachine.start();
  params = { keyId: await machine.enroll(), payload: connectionPayload() };
});
afterEach(() => {
  machine.tpm.resume();
});
afterAll(() => machine.stop());

function child(end: string, count: number, timeoutMs = 30_000): Child<Report> {
  return new Child('exit.cjs', { options: { ...machine.options, timeoutMs }, params, count, end });
}

async function ended(end: string, count: number, timeoutMs?: number): Promise<ChildResult<Report>> {
  return child(end, count, timeoutMs).result;
}

test('a process ends normally while a store is open and idle', async () => {
  expect(await ended('of itself', 0)).toMatchObject({ exitCode: 0, signal: null, stderr: '' });
});

test('a process waits for the operations that are outstanding', async () => {
  expect(await ended('of itself', 50)).toMatchObject({
    exitCode: 0,
    output: { signed: 50 },
    stderr: '',
  });
});

test('process.exit ends it with the given code, with many requests in flight', async () => {
  expect(await ended('process.exit', manyRequests)).toMatchObject({
    exitCode: 7,
    signal: null,
    stderr: '',
  });
});

test('process.exit during the delivery of results ends it too', async () => {
  expect(await ended('process.exit at the first result', manyRequests)).toMatchObject({
    exitCode: 7,
    signal: null,
    stderr: '',
  });
});

testUnlessWindows.each(['of itself', 'process.exit', 'process.exit at the first result'])(
  'a process that ends by %s leaves nothing in the TPM',
  async (end) => {
    await ended(end, 20);
    expect(await machine.tpm.getcap('handles-transient')).toBe('');
    expect(await machine.tpm.getcap('handles-loaded-session')).toBe('');
  },
);

describe('with a TPM that hangs', () => {
  // An abandoned command has left its object in this TPM, which has no resource manager.
  afterEach(() => machine.tpm.restart());

  test('process.exit does not wait for it', async () => {
    machine.tpm.pause();
    const { exitCode, signal, elapsedMs } = await ended('process.exit', manyRequests);
    expect({ exitCode, signal }).toEqual({ exitCode: 7, signal: null });
    // The store itself gives up after a second; the rest is for a busy machine.
    expect(elapsedMs).toBeLessThan(15_000);
  });

  testUnlessWindows('process.exit does not wait for it to flush the loaded keys', async () => {
    const exiting = child('process.exit at SIGUSR2', 1);
    await exiting.printed('ready');
    machine.tpm.pause();
    exiting.kill('SIGUSR2');
    const { exitCode, signal, elapsedMs } = await exiting.result;
    expect({ exitCode, signal }).toEqual({ exitCode: 7, signal: null });
    expect(elapsedMs).toBeLessThan(15_000);
  });

  test('a process ends of itself once its operations have timed out', async () => {
    machine.tpm.pause();
    const { exitCode, signal, stderr, output, elapsedMs } = await ended('of itself', 5, 500);
    expect({ exitCode, signal, stderr }).toEqual({ exitCode: 0, signal: null, stderr: '' });
    expect(output.signed).toBe(0);
    // An operation that has a few milliseconds left connects again, and swtpm lets few clients wait.
    const codes = output.errors.map((error) => error.split(':')[0]);
    expect(codes).toHaveLength(5);
    expect(codes).toContain('device_timeout');
    expect(codes.filter((code) => code !== 'device_timeout' && code !== 'device_busy')).toEqual([]);
    expect(elapsedMs).toBeLessThan(15_000);
    machine.tpm.resume();
    expect(await ended('of itself', 3)).toMatchObject({
      exitCode: 0,
      output: { signed: 3, errors: [] },
    });
  });

  test('it serves the next process when it answers again', async () => {
    machine.tpm.pause();
    await ended('process.exit', 3);
    machine.tpm.resume();
    expect(await ended('of itself', 3)).toMatchObject({
      exitCode: 0,
      output: { signed: 3, errors: [] },
    });
  });
});

test.each(['an uncaught exception', 'an unhandled rejection'])(
  '%s ends it normally, with many requests in flight',
  async (end) => {
    const { exitCode, signal, stderr } = await ended(end, manyRequests);
    expect({ exitCode, signal }).toEqual({ exitCode: 1, signal: null });
    expect(stderr).toMatch(/(thrown|rejected) by the application/);
  },
);

test.each(['SIGTERM', 'SIGINT'] as const)(
  '%s ends it immediately, with many requests in flight',
  async (signal) => {
    const waiting = child('waiting for a signal', manyRequests);
    await waiting.printed('ready');
    waiting.kill(signal);
    expect(await waiting.result).toMatchObject({ exitCode: null, signal });
    // A signal leaves a process no chance to flush, and this TPM has no resource manager.
    await machine.tpm.restart();
  },
);
