// TPMs that are switched off and on, or replaced.
import type { DeviceKeyStore } from '../../dist/index.js';
import { TestMachine } from '../support/machine';
import { count, outcome } from '../support/outcome';
import { binding, connectionPayload } from '../support/payloads';

let machine: TestMachine;
let store: DeviceKeyStore;
let keyId: string;

beforeEach(async () => {
  machine = await TestMachine.start();
  store = machine.open();
  ({ keyId } = await store.create(binding));
});
afterEach(() => machine.stop());

const sign = () => store.sign({ keyId, payload: connectionPayload() });

test('a restart between two signatures has no effect', async () => {
  for (let restart = 0; restart < 3; restart += 1) {
    await expect(sign()).resolves.toBeDefined();
    await machine.tpm.restart();
  }
  await expect(sign()).resolves.toBeDefined();
});

test('a restart between two creations has no effect', async () => {
  await machine.tpm.restart();
  await expect(store.create(binding)).resolves.toBeDefined();
});

test('while the TPM is off, signing rejects with hardware_unavailable', async () => {
  await machine.tpm.kill();
  await expect(sign()).rejects.toMatchObject({ code: 'hardware_unavailable' });
  await machine.tpm.powerOn();
  await expect(sign()).resolves.toBeDefined();
});

test('restarts during a stream of signatures cause at most typed errors', async () => {
  let streaming = true;
  const ended: string[] = [];
  const stream = async () => {
    while (streaming) ended.push(await outcome(sign()));
  };
  const streams = Array.from({ length: 4 }, stream);
  for (let restart = 0; restart < 3; restart += 1) {
    const before = count(ended).fulfilled ?? 0;
    while ((count(ended).fulfilled ?? 0) < before + 20) await new Promise(setImmediate);
    await machine.tpm.kill();
    await machine.tpm.powerOn();
  }
  await expect(sign()).resolves.toBeDefined();
  streaming = false;
  await Promise.all(streams);
  expect(Object.keys(count(ended)).sort()).toEqual(['fulfilled', 'hardware_unavailable']);
});

test('a restart while many signatures wait fails at most the running ones', async () => {
  const waiting = Promise.all(Array.from({ length: 300 }, () => outcome(sign())));
  await machine.tpm.restart();
  const counts = count(await waiting);
  const { fulfilled = 0, hardware_unavailable: failed = 0 } = counts;
  expect(fulfilled + failed).toBe(300);
  await expect(sign()).resolves.toBeDefined();
});

test('a TPM that hangs and is then restarted serves the next signature', async () => {
  const impatient = machine.open({ timeoutMs: 200 });
  const request = { keyId, payload: connectionPayload() };
  machine.tpm.pause();
  await expect(impatient.sign(request)).rejects.toMatchObject({ code: 'device_timeout' });
  await machine.tpm.restart();
  await expect(impatient.sign(request)).resolves.toBeDefined();
});

test('another TPM at the same socket cannot use the key: key_lost', async () => {
  await machine.tpm.swapState();
  await expect(sign()).rejects.toMatchObject({
    code: 'key_lost',
    message: expect.stringContaining('Enroll again') as string,
  });
});

test('a lost key can still be read and deleted, and another key can be enrolled', async () => {
  await machine.tpm.swapState();
  await expect(store.public({ keyId })).resolves.toMatchObject({ keyId });
  await expect(store.delete({ keyId })).resolves.toBeUndefined();
  const { keyId: next } = await store.create(binding);
  await expect(store.sign({ keyId: next, payload: connectionPayload() })).resolves.toBeDefined();
});

test('a TPM that was cleared by its owner has lost the key', async () => {
  await store.close();
  await machine.tpm.tool('tpm2_clear', '-c', 'p');
  store = machine.open();
  await expect(sign()).rejects.toMatchObject({ code: 'key_lost' });
});

test('an error while the TPM is off leaves nothing in it afterwards', async () => {
  await machine.tpm.kill();
  await outcome(sign());
  await outcome(store.create(binding));
  await machine.tpm.powerOn();
  await sign();
  await store.close();
  expect(await machine.tpm.getcap('handles-transient')).toBe('');
  expect(await machine.tpm.getcap('handles-loaded-session')).toBe('');
});
