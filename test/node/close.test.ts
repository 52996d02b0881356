// Closing a store, and the limit of waiting operations.
import { getEventListeners } from 'node:events';

import type { DeviceKeyStore, DeviceKeySignResponse } from '../../dist/index.js';
import { runChild } from '../support/child';
import { TestMachine } from '../support/machine';
import { count, outcome, outcomes } from '../support/outcome';
import { binding, connectionPayload } from '../support/payloads';
import { testUnlessWindows } from '../support/platform';

let machine: TestMachine;
let keyId: string;

beforeAll(async () => {
  machine = await TestMachine.start();
  keyId = await machine.enroll();
});
afterEach(() => machine.closeStores());
afterAll(() => machine.stop());

const params = () => ({ keyId, payload: connectionPayload() });
const signMany = (store: DeviceKeyStore, times: number) =>
  Array.from({ length: times }, () => store.sign(params()));

describe('close', () => {
  test('lets the running operation end, and rejects waiting ones with closed', async () => {
    const store = machine.open();
    const signing = signMany(store, 500);
    const ended = outcomes(signing);
    await signing[0];
    await store.close();
    const results = await ended;
    const fulfilled = results.lastIndexOf('fulfilled') + 1;
    expect(fulfilled).toBeLessThan(500);
    // The earlier ones have a result, without a gap; the later ones have none.
    expect(count(results.slice(0, fulfilled))).toEqual({ fulfilled });
    expect(count(results.slice(fulfilled))).toEqual({ closed: 500 - fulfilled });
  });

  test('rejects waiting operations even while the TPM hangs', async () => {
    const store = machine.open();
    machine.tpm.pause();
    const [first, ...waiting] = signMany(store, 3).map(outcome);
    const closing = store.close();
    expect(await Promise.all(waiting)).toEqual(['closed', 'closed']);
    machine.tpm.resume();
    await Promise.all([first, closing]);
  });

  test('resolves when all earlier operations are settled', async () => {
    const store = machine.open();
    let settled = 0;
    for (const signing of signMany(store, 20))
      signing.catch(() => undefined).finally(() => settled++);
    await store.close();
    expect(settled).toBe(20);
  });

  test('returns the same promise when called again', () => {
    const store = machine.open();
    expect(store.close()).toBe(store.close());
  });

  test('makes every method reject with closed', async () => {
    const store = machine.open();
    await store.close();
    const calls = [
      store.create(binding),
      store.public({ keyId }),
      store.sign(params()),
      store.delete({ keyId }),
      store.list(),
      store.support(),
    ];
    expect(count(await outcomes(calls))).toEqual({ closed: calls.length });
  });

  test('works for an unused store', async () => {
    await expect(machine.open().close()).resolves.toBeUndefined();
  });

  testUnlessWindows('leaves nothing of ours in the TPM', async () => {
    const store = machine.open();
    const keys = await Promise.all([store.create(binding), store.create(binding)]);
    await Promise.all(keys.map((key) => store.sign({ ...params(), keyId: key.keyId })));
    await store.close();
    expect(await machine.tpm.getcap('handles-transient')).toBe('');
    expect(await machine.tpm.getcap('handles-loaded-session')).toBe('');
  });

  test('releases the TPM for other processes', async () => {
    const store = machine.open();
    await store.sign(params());
    await store.close();
    const { output } = await runChild<{ result: DeviceKeySignResponse }>('use-store.cjs', {
      options: machine.options,
      method: 'sign',
      params: params(),
    });
    expect(output.result.algorithm).toBe('ecdsa_p256_sha256');
  });

  test('of one store does not affect another store with the same TPM', async () => {
    const [one, other] = [machine.open(), machine.open()];
    const signing = signMany(other, 50);
    await one.sign(params());
    await one.close();
    expect(count(await outcomes(signing))).toEqual({ fulfilled: 50 });
  });

  test('is what `await using` calls', async () => {
    const store = machine.open();
    await store[Symbol.asyncDispose]();
    await expect(store.list()).rejects.toMatchObject({ code: 'closed' });
  });

  test('removes the listeners of operations that it rejects', async () => {
    const store = machine.open();
    machine.tpm.pause();
    const { signal } = new AbortController();
    const signing = outcomes(Array.from({ length: 5 }, () => store.sign(params(), { signal })));
    const closing = store.close();
    machine.tpm.resume();
    await Promise.all([signing, closing]);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  test('leaves no listener on the process', async () => {
    const before = process.listenerCount('exit');
    const stores = Array.from({ length: 20 }, () => machine.open());
    expect(process.listenerCount('exit')).toBeLessThanOrEqual(before + 1);
    await Promise.all(stores.map((store) => store.close()));
    expect(process.listenerCount('exit')).toBe(before);
  });
});

interface Held {
  threads: number;
  descriptors: number;
}

// Counts with /proc.
describe('what a store leaves in the process', () => {
  const onLinux = process.platform === 'linux' ? test : test.skip;

  const run = async <Output>(scenario: string, cycles: number): Promise<Output> => {
    const { output } = await runChild<Output>(
      'let-go.cjs',
      { options: machine.options, scenario, cycles },
      { nodeArguments: ['--expose-gc'], limitMs: 120_000 },
    );
    return output;
  };

  onLinux.each(['open, list and close', 'open, list and close in a worker thread'])(
    'is nothing after 1,000 times %s',
    async (scenario) => {
      const { before, after } = await run<{ before: Held; after: Held }>(scenario, 1000);
      expect(after.threads).toBeLessThanOrEqual(before.threads);
      expect(after.descriptors).toBeLessThanOrEqual(before.descriptors);
    },
    150_000,
  );

  onLinux(
    'is nothing once a store that was never closed has been garbage collected',
    async () => {
      const { before, most, after } = await run<{ before: Held; most: Held; after: Held }>(
        'drop without closing',
        20,
      );
      expect(most.threads).toBeGreaterThan(before.threads);
      expect(after.threads).toBeLessThanOrEqual(before.threads);
      expect(after.descriptors).toBeLessThanOrEqual(before.descriptors);
    },
    60_000,
  );

  onLinux('is there for as long as an operation is outstanding', async () => {
    expect(await run<number>('drop while an operation is outstanding', 20)).toBe(20);
  });
});

describe('queueLimit', () => {
  test('rejects only operations beyond it, with queue_full', async () => {
    const store = machine.open({ queueLimit: 5 });
    machine.tpm.pause();
    const signing = signMany(store, 10);
    machine.tpm.resume();
    const counts = count(await outcomes(signing));
    // Five wait; a sixth runs if the store's thread has already taken it.
    expect([
      { fulfilled: 5, queue_full: 5 },
      { fulfilled: 6, queue_full: 4 },
    ]).toContainEqual(counts);
  });

  test('is named in the error, with its value', async () => {
    const store = machine.open({ queueLimit: 1 });
    machine.tpm.pause();
    const signing = signMany(store, 3);
    for (const each of signing) each.catch(() => undefined);
    // The second or the third, depending on when the store's thread took the first.
    await expect(Promise.race(signing)).rejects.toMatchObject({
      code: 'queue_full',
      message: expect.stringMatching(/\(1 .*queueLimit/) as string,
    });
  });

  test('counts waiting operations, not ended or aborted ones', async () => {
    const store = machine.open({ queueLimit: 2 });
    for (let i = 0; i < 10; i += 1) await store.sign(params());
    machine.tpm.pause();
    for (let i = 0; i < 10; i += 1) {
      const controller = new AbortController();
      const signing = store.sign(params(), { signal: controller.signal });
      controller.abort();
      await expect(signing).rejects.toMatchObject({ code: 'canceled' });
    }
  });

  test('does not prevent reading records while the TPM hangs', async () => {
    const store = machine.open({ queueLimit: 1 });
    machine.tpm.pause();
    const signing = outcomes(signMany(store, 3));
    await expect(store.public({ keyId })).resolves.toMatchObject({ keyId });
    machine.tpm.resume();
    await signing;
  });
});
