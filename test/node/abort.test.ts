// Aborted operations: before they start, while they wait, while they run, after the end.
import { getEventListeners } from 'node:events';
import { readdir } from 'node:fs/promises';

import type { DeviceKeyStore } from '../../dist/index.js';
import { TestMachine } from '../support/machine';
import { count, outcome, outcomes } from '../support/outcome';
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

const params = () => ({ keyId, payload: connectionPayload() });

// An operation that starts as soon as the store's thread is free, and runs until the TPM is
// resumed.
function occupyTheTpm(): Promise<unknown> {
  machine.tpm.pause();
  return store.sign(params());
}

test('an aborted signal rejects immediately, with its reason as the cause', async () => {
  const reason = new Error('the window was closed');
  await expect(store.sign(params(), { signal: AbortSignal.abort(reason) })).rejects.toMatchObject({
    name: 'DeviceKeyError',
    code: 'canceled',
    cause: reason,
  });
});

test('an aborted signal takes precedence over bad parameters', async () => {
  const signing = store.sign(undefined as never, { signal: AbortSignal.abort() });
  await expect(signing).rejects.toMatchObject({ code: 'canceled' });
});

test('aborting a waiting operation rejects it while the TPM is still busy', async () => {
  const occupying = occupyTheTpm();
  const controller = new AbortController();
  const waiting = store.sign(params(), { signal: controller.signal });
  const reason = { any: 'value' };
  controller.abort(reason);
  await expect(waiting).rejects.toMatchObject({ code: 'canceled', cause: reason });
  machine.tpm.resume();
  await expect(occupying).resolves.toBeDefined();
});

test('aborting a running operation rejects it while the TPM is still busy', async () => {
  machine.tpm.pause();
  const controller = new AbortController();
  const running = store.sign(params(), { signal: controller.signal });
  await reachTheTpm();
  controller.abort();
  await expect(running).rejects.toMatchObject({ code: 'canceled' });
  machine.tpm.resume();
  await expect(store.sign(params())).resolves.toBeDefined();
});

test.each(['waits', 'runs'])('a creation aborted while it %s leaves no key', async (stage) => {
  machine.tpm.pause();
  const occupying = stage === 'waits' ? occupyTheTpm() : Promise.resolve();
  const controller = new AbortController();
  const creating = store.create(binding, { signal: controller.signal });
  if (stage === 'runs') await reachTheTpm();
  controller.abort();
  await expect(creating).rejects.toMatchObject({ code: 'canceled' });
  machine.tpm.resume();
  await occupying;
  await store.close();
  expect(await readdir(machine.directory)).toEqual([`${keyId}.json`]);
  expect(await machine.tpm.getcap('handles-transient')).toBe('');
});

test('a timeout signal works like any other', async () => {
  machine.tpm.pause();
  const signing = store.sign(params(), { signal: AbortSignal.timeout(20) });
  await expect(signing).rejects.toMatchObject({
    code: 'canceled',
    cause: expect.objectContaining({ name: 'TimeoutError' }) as unknown,
  });
});

test('aborting after the end changes nothing', async () => {
  const controller = new AbortController();
  const signing = store.sign(params(), { signal: controller.signal });
  await signing;
  controller.abort();
  await expect(signing).resolves.toBeDefined();
  await expect(store.sign(params())).resolves.toBeDefined();
});

test('one signal aborts all of its operations and no others', async () => {
  machine.tpm.pause();
  const controller = new AbortController();
  const aborted = Array.from({ length: 100 }, () =>
    store.sign(params(), { signal: controller.signal }),
  );
  const others = Array.from({ length: 100 }, () => store.sign(params()));
  controller.abort();
  machine.tpm.resume();
  expect(count(await outcomes(aborted))).toEqual({ canceled: 100 });
  expect(count(await outcomes(others))).toEqual({ fulfilled: 100 });
});

test('many operations on one signal add one listener, so Node.js warns of no leak', async () => {
  machine.tpm.pause();
  const controller = new AbortController();
  const signing = Array.from({ length: 20 }, () =>
    store.sign(params(), { signal: controller.signal }),
  );
  expect(getEventListeners(controller.signal, 'abort')).toHaveLength(1);
  machine.tpm.resume();
  expect(count(await outcomes(signing))).toEqual({ fulfilled: 20 });
  expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
});

test('aborting at any moment ends every operation exactly once', async () => {
  const controllers = Array.from({ length: 200 }, () => new AbortController());
  const signing = controllers.map(({ signal }) => outcome(store.sign(params(), { signal })));
  const ended = Promise.all(signing);
  for (const [i, controller] of controllers.entries()) {
    if (i % 10 === 0) await new Promise(setImmediate);
    controller.abort();
  }
  const counts = count(await ended);
  expect((counts.fulfilled ?? 0) + (counts.canceled ?? 0)).toBe(200);
});

test('no listener stays on the signal, however the operation ended', async () => {
  const { signal } = new AbortController();
  await store.sign(params(), { signal });
  await outcome(
    store.sign({ keyId, payload: connectionPayload({ clientId: 'other' }) }, { signal }),
  );
  await outcome(store.sign(undefined as never, { signal }));
  expect(getEventListeners(signal, 'abort')).toEqual([]);

  const controller = new AbortController();
  machine.tpm.pause();
  const signing = outcome(store.sign(params(), { signal: controller.signal }));
  expect(getEventListeners(controller.signal, 'abort')).toHaveLength(1);
  controller.abort();
  await signing;
  expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
});

test.each([{ signal: 'abort' }, { signal: {} }, { signal: new EventTarget() }, { signal: 1 }])(
  'a value that is no AbortSignal is refused before anything starts: %p',
  async (options) => {
    await expect(store.create(binding, options as never)).rejects.toMatchObject({
      code: 'invalid_params',
      message: 'options.signal: expected an AbortSignal',
    });
    expect(await readdir(machine.directory)).toEqual([`${keyId}.json`]);
  },
);

test('a signal that cannot be read is refused', async () => {
  const cause = new Error('no');
  const options = {
    get signal(): AbortSignal {
      throw cause;
    },
  };
  await expect(store.sign(params(), options)).rejects.toMatchObject({
    code: 'invalid_params',
    cause,
  });
});

test.each([undefined, null, {}, { signal: undefined }, { signal: null }])(
  'options may be %p',
  async (options) => {
    await expect(store.sign(params(), options as never)).resolves.toBeDefined();
  },
);

// Gives the store's thread time to start. The tests also pass without it: an operation that has not
// started is aborted like a waiting one.
async function reachTheTpm(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 100));
}
