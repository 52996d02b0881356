// Stores in worker threads, and the addon loaded in several ways.
import { runChild, type ChildResult } from '../support/child';
import { TestMachine } from '../support/machine';
import { connectionPayload } from '../support/payloads';
import type { DeviceKeySignParams } from '../../dist/index.js';

let machine: TestMachine;
let params: DeviceKeySignParams;

beforeAll(async () => {
  machine = await TestMachine.start();
  params = { keyId: await machine.enroll(), payload: connectionPayload() };
});
afterAll(() => machine.stop());

async function run(scenario: string): Promise<ChildResult<unknown>> {
  return runChild('workers.cjs', { options: machine.options, params, scenario });
}

async function nothingIsLeftInTheTpm(): Promise<void> {
  expect(await machine.tpm.getcap('handles-transient')).toBe('');
  expect(await machine.tpm.getcap('handles-loaded-session')).toBe('');
}

test('workers that sign at the same time share one TPM', async () => {
  expect(await run('together')).toMatchObject({
    exitCode: 0,
    output: Array(4).fill({ signed: 10 }),
  });
  await nothingIsLeftInTheTpm();
});

test('each of several workers loads the addon', async () => {
  expect(await run('one after the other')).toMatchObject({
    exitCode: 0,
    output: Array(5).fill({ signed: 10 }),
  });
  await nothingIsLeftInTheTpm();
});

test('workers are terminated with requests in flight, and the process continues', async () => {
  expect(await run('terminated')).toMatchObject({
    exitCode: 0,
    signal: null,
    output: Array(20).fill(1),
  });
  await nothingIsLeftInTheTpm();
});

test('process.exit in a worker ends that worker with its code', async () => {
  expect(await run('process.exit in a worker')).toMatchObject({ exitCode: 0, output: 7 });
  await nothingIsLeftInTheTpm();
});

test('tpm2-tss writes nothing to standard error, even when a worker loads it first', async () => {
  expect(await run('one after the other')).toMatchObject({ stderr: '' });
});
