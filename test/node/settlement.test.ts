// Whether the TPM stops, ends or restarts, or the store is closed: each operation ends once, with a result or a
// DeviceKeyError.
import { setTimeout as delay } from 'node:timers/promises';

import { DeviceKeyError, type DeviceKeyStore } from '../../dist/index.js';
import type { Native, NativeStore } from '../../dist/native.js';
import { TestMachine } from '../support/machine';
import { count } from '../support/outcome';
import { binding, connectionPayload } from '../support/payloads';

/** How often the addon settled each request. The store ignores a second settlement. */
const settledByAddon = new Map<string, number>();
let nativeStores = 0;

function countSettlements(): void {
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- an addon
  const addon = require('../../build/Release/device_key.node') as Native;
  const { NativeStore: Original } = addon;
  const counting = function (
    ...[options, onSettled]: ConstructorParameters<Native['NativeStore']>
  ): NativeStore {
    const store = (nativeStores += 1);
    return new Original(options, (request, outcome) => {
      const name = `store ${store}, request ${request}`;
      settledByAddon.set(name, (settledByAddon.get(name) ?? 0) + 1);
      onSettled(request, outcome);
    });
  };
  addon.NativeStore = counting as unknown as Native['NativeStore'];
}

/** Operations that were started, and how they ended. */
class Operations {
  started = 0;
  readonly outcomes: string[] = [];
  private readonly ends: Promise<unknown>[] = [];

  add(operation: Promise<unknown>): void {
    this.started += 1;
    this.ends.push(
      operation.then(
        () => this.outcomes.push('fulfilled'),
        // What is not a DeviceKeyError appears with its text.
        (error: unknown) =>
          this.outcomes.push(error instanceof DeviceKeyError ? error.code : String(error)),
      ),
    );
  }

  /** Waits until all have ended, or for `limitMs`. */
  async ended(limitMs: number): Promise<void> {
    const timer = new AbortController();
    const limit = delay(limitMs, undefined, { signal: timer.signal }).catch(() => undefined);
    await Promise.race([Promise.all(this.ends), limit]);
    timer.abort();
  }
}

let machine: TestMachine;
let keyId: string;

beforeAll(async () => {
  countSettlements();
  machine = await TestMachine.start();
  keyId = await machine.enroll();
});
afterAll(() => machine.stop());

/** Starts one operation of each kind. */
function startEach(store: DeviceKeyStore, operations: Operations): void {
  const { signal } = new AbortController();
  const soon = () => ({ signal: AbortSignal.timeout(20) });
  const sign = () => ({ keyId, payload: connectionPayload() });
  const creation = store.create(binding);
  for (const operation of [
    creation,
    store.create(binding, soon()),
    store.sign(sign()),
    store.sign(sign(), { signal }),
    store.sign(sign(), soon()),
    store.sign({ ...sign(), payload: connectionPayload({ clientId: 'another' }) }),
    store.public({ keyId }),
    store.list(),
    store.support(),
    store.delete({ keyId: `dk_tpm_${'A'.repeat(43)}` }),
    // Deletes the new key as soon as there is one.
    creation.then((key) => store.delete({ keyId: key.keyId })),
  ]) {
    operations.add(operation);
  }
}

const paused = async () => {
  machine.tpm.pause();
  await delay(100);
  machine.tpm.resume();
};
const disturbances: [string, () => Promise<void>][] = [
  ['is stopped for a moment', paused],
  ['is stopped, and killed, and started again', () => paused().then(() => machine.tpm.restart())],
  [
    'is restarted three times',
    async () => {
      for (let i = 0; i < 3; i += 1) await machine.tpm.restart();
    },
  ],
  [
    'is stopped until all stores are closed',
    () => {
      machine.tpm.pause();
      return Promise.resolve();
    },
  ],
  ['is off until all stores are closed', () => machine.tpm.kill()],
];

describe.each(disturbances)('while the TPM %s', (_, disturb) => {
  afterEach(async () => {
    machine.tpm.resume();
    // An abandoned command has left its object in this TPM, which has no resource manager.
    await machine.tpm.restart();
  });

  test('each operation of several stores ends once', async () => {
    settledByAddon.clear();
    const operations = new Operations();
    const stores = [
      machine.open({ timeoutMs: 400 }),
      machine.open({ timeoutMs: 2000 }),
      machine.open({ timeoutMs: 2000, queueLimit: 10 }),
    ];
    const disturbed = disturb();
    const rounds = 30;
    for (let round = 0; round < rounds; round += 1) {
      for (const store of stores) startEach(store, operations);
      // The next operations of this store are rejected.
      if (round === rounds / 2) operations.add(stores[0]!.close());
      await delay(10);
    }
    await disturbed;
    for (const store of stores) operations.add(store.close());

    await operations.ended(20_000);
    expect(operations.outcomes).toHaveLength(operations.started);
    const outcomes = count(operations.outcomes);
    expect(Object.keys(outcomes).filter((name) => !/^[a-z_]+$/.test(name))).toEqual([]);
    // Not only the closings. How many more depends on the speed of the machine.
    expect(outcomes.fulfilled).toBeGreaterThan(1 + stores.length);
    expect(outcomes.closed).toBeGreaterThan(rounds);
    expect(settledByAddon.size).toBeGreaterThan(operations.started / 4);
    expect([...settledByAddon].filter(([, times]) => times !== 1)).toEqual([]);
  });

  test('the next store has full service', async () => {
    const store = machine.open();
    await expect(store.sign({ keyId, payload: connectionPayload() })).resolves.toBeDefined();
    await store.close();
  });
});
