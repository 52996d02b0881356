// The ways in which programs load the package.
import { runChild } from '../support/child';
import { TestMachine } from '../support/machine';
import { connectionPayload } from '../support/payloads';

let machine: TestMachine;
let input: object;

beforeAll(async () => {
  machine = await TestMachine.start();
  const keyId = await machine.enroll();
  input = { options: machine.options, params: { keyId, payload: connectionPayload() } };
});
afterAll(() => machine.stop());

test('an ES module imports it by name, and shares its classes with CommonJS', async () => {
  expect(await runChild('import.mjs', input)).toMatchObject({
    exitCode: 0,
    output: { algorithm: 'ecdsa_p256_sha256', isDeviceKeyError: true, sameNames: true },
    stderr: '',
  });
});

test('it can be loaded again and again in one thread', async () => {
  expect(await runChild('loaded-again.cjs', { ...input, times: 5 })).toMatchObject({
    exitCode: 0,
    output: { copies: 5, signed: 5 },
    stderr: '',
  });
});

test('it works in a vm context', async () => {
  expect(await runChild('vm-context.cjs', input)).toMatchObject({
    exitCode: 0,
    output: { algorithm: 'ecdsa_p256_sha256', isDeviceKeyError: true, isForeign: true },
    stderr: '',
  });
});

test('importing starts no thread and opens no file', async () => {
  expect(await runChild('only-import.cjs')).toMatchObject({
    exitCode: 0,
    output: { addonLoaded: false, newThreads: 0 },
  });
});

test('importing does not load node:crypto, which takes longer than the package', async () => {
  expect(await runChild('only-import.cjs')).toMatchObject({
    exitCode: 0,
    output: { cryptoLoaded: false },
  });
});
