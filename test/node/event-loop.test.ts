// What else a process can do while the TPM works. `npm run bench` measures the speed.
import { Child } from '../support/child';
import { TestMachine } from '../support/machine';
import { connectionPayload } from '../support/payloads';

let machine: TestMachine;
let keyId: string;

beforeAll(async () => {
  machine = await TestMachine.start();
  keyId = await machine.enroll();
});
afterEach(() => machine.closeStores());
afterAll(() => machine.stop());

test('a thousand signatures in flight block neither the event loop nor libuv’s pool', async () => {
  machine.tpm.pause();
  const child = new Child(
    'busy.cjs',
    {
      options: machine.options,
      params: { keyId, payload: connectionPayload() },
      count: 1000,
      turns: 1000,
    },
    { env: { UV_THREADPOOL_SIZE: '1' } },
  );
  await child.printed('ended');
  machine.tpm.resume();
  expect(await child.result).toMatchObject({
    exitCode: 0,
    output: { turned: 1000, stats: 100, ended: 0 },
  });
});

test('the event loop turns between results', async () => {
  const store = machine.open();
  const signatures = 1000;
  let ended = 0;
  const all = Promise.all(
    Array.from({ length: signatures }, () =>
      store.sign({ keyId, payload: connectionPayload() }).then(() => (ended += 1)),
    ),
  );
  const seen = new Set<number>();
  while (ended < signatures) {
    seen.add(ended);
    await new Promise(setImmediate);
  }
  await all;
  // If all results came in one turn, there would be only two turns.
  expect(seen.size).toBeGreaterThan(10);
});

test('reading records does not wait for the TPM', async () => {
  const store = machine.open();
  machine.tpm.pause();
  let signed = false;
  const signing = store.sign({ keyId, payload: connectionPayload() }).then(() => (signed = true));
  await expect(store.public({ keyId })).resolves.toMatchObject({ keyId });
  expect((await store.list()).map((key) => key.keyId)).toContain(keyId);
  expect(signed).toBe(false);
  machine.tpm.resume();
  await signing;
});
