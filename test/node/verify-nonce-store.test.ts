import fc from 'fast-check';

import { InMemoryNonceStore } from '../../lib/verify';

/** A store whose clock the test sets. */
function storeWithClock(capacity: number) {
  const clock = { now: 1000 };
  return { clock, store: new InMemoryNonceStore({ capacity, now: () => clock.now }) };
}

test('each nonce is accepted once', async () => {
  const { store } = storeWithClock(10);
  expect(await store.consume('a', 1100)).toBe(true);
  expect(await store.consume('a', 1100)).toBe(false);
  expect(await store.consume('b', 1100)).toBe(true);
});

test('exactly one of several concurrent callers succeeds', async () => {
  const { store } = storeWithClock(10);
  const answers = await Promise.all(Array.from({ length: 100 }, () => store.consume('a', 1100)));
  expect(answers.filter((first) => first)).toHaveLength(1);
});

test('an expired nonce is refused, because its record may be gone', async () => {
  const { store } = storeWithClock(10);
  expect(await store.consume('a', 1000)).toBe(false);
  expect(await store.consume('b', 999)).toBe(false);
  expect(await store.consume('c', NaN)).toBe(false);
  expect(store.size).toBe(0);
});

test('a full store refuses new nonces and keeps the old ones', async () => {
  const { store } = storeWithClock(2);
  await store.consume('a', 1100);
  await store.consume('b', 1200);
  await expect(store.consume('c', 1100)).rejects.toThrow(/full/);
  expect(await store.consume('a', 1100)).toBe(false);
  expect(await store.consume('b', 1200)).toBe(false);
});

test('a full store accepts nonces again when others expire', async () => {
  const { clock, store } = storeWithClock(2);
  await store.consume('a', 1100);
  await store.consume('b', 1200);
  clock.now = 1100;
  expect(await store.consume('c', 1300)).toBe(true);
  expect(await store.consume('b', 1200)).toBe(false);
  await expect(store.consume('d', 1300)).rejects.toThrow(/full/);
  clock.now = 1200;
  expect(await store.consume('d', 1300)).toBe(true);
});

test('no history accepts a nonce twice or exceeds the capacity', async () => {
  const step = fc.record({
    nonce: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
    lifetime: fc.integer({ min: -5, max: 30 }),
    wait: fc.integer({ min: 0, max: 20 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const { clock, store } = storeWithClock(3);
      const inForceUntil = new Map<string, number>();
      for (const { nonce, lifetime, wait } of steps) {
        clock.now += wait;
        const first = await store.consume(nonce, clock.now + lifetime).catch(() => false);
        if (first) {
          expect(inForceUntil.get(nonce) ?? -Infinity).toBeLessThanOrEqual(clock.now);
          inForceUntil.set(nonce, clock.now + lifetime);
        }
        expect(store.size).toBeLessThanOrEqual(3);
      }
    }),
  );
});

test.each([0, -1, 1.5, NaN, Infinity])('a capacity of %p is refused', (capacity) => {
  expect(() => new InMemoryNonceStore({ capacity })).toThrow(TypeError);
});
