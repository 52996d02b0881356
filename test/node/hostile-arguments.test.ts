// Arguments that throw when they are read, or that JSON cannot express, cause a DeviceKeyError.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { createDeviceKeyRequestHandler, serveStdio } from '../../dist/app-server.js';
import { DeviceKeyStore } from '../../dist/index.js';
import { openRemoteControl } from '../../dist/remote-control.js';
import { createInMemoryDeviceKeyStore } from '../../dist/testing.js';
import { outcome } from '../support/outcome';
import { binding, connectionPayload } from '../support/payloads';
import { stubStore } from '../support/stub-store';

let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'dk-hostile-'));
});
afterAll(() => rm(directory, { recursive: true }));

/** An object like an AbortSignal, one member of which throws when it is read or called. */
function signalThatThrows(member: string, when: 'read' | 'called'): AbortSignal {
  const fail = () => {
    throw new Error('the signal is broken');
  };
  const nothing = () => undefined;
  const signal = { aborted: false, addEventListener: nothing, removeEventListener: nothing };
  return Object.defineProperty(
    signal,
    member,
    when === 'read' ? { get: fail } : { value: fail },
  ) as unknown as AbortSignal;
}

const keyId = `dk_tpm_${Buffer.alloc(32).toString('base64url')}`;

describe('a signal', () => {
  let store: DeviceKeyStore;
  beforeEach(() => {
    store = DeviceKeyStore.open({ directory });
  });
  afterEach(() => store.close());

  test.each([
    ['aborted', 'read'],
    ['addEventListener', 'read'],
    ['removeEventListener', 'read'],
    ['addEventListener', 'called'],
  ] as const)('whose %s throws when it is %s is refused', async (member, when) => {
    const signal = signalThatThrows(member, when);
    const signing = store.sign({ keyId, payload: connectionPayload() }, { signal });
    await expect(signing).rejects.toMatchObject({
      code: 'invalid_params',
      message: expect.stringContaining('options.signal') as string,
    });
  });

  test('whose removeEventListener throws does not disturb the operation', async () => {
    const signal = signalThatThrows('removeEventListener', 'called');
    const signing = store.sign({ keyId, payload: connectionPayload() }, { signal });
    expect(await outcome(signing)).toBe('key_not_found');
  });

  test('whose reason throws still cancels', async () => {
    const signal = Object.defineProperty(signalThatThrows('reason', 'read'), 'aborted', {
      value: true,
    });
    const signing = store.sign({ keyId, payload: connectionPayload() }, { signal });
    expect(await outcome(signing)).toBe('canceled');
  });

  test('cannot be read from options that throw', async () => {
    const options = {
      get signal(): AbortSignal {
        throw new Error('broken');
      },
    };
    const signing = store.sign({ keyId, payload: connectionPayload() }, options);
    expect(await outcome(signing)).toBe('invalid_params');
  });
});

test.each<[string, (options: never) => unknown]>([
  ['DeviceKeyStore.open', (options) => DeviceKeyStore.open(options)],
  ['openRemoteControl', (options) => openRemoteControl(options)],
  ['createInMemoryDeviceKeyStore', (options) => createInMemoryDeviceKeyStore(options)],
  ['createDeviceKeyRequestHandler', (options) => createDeviceKeyRequestHandler(options)],
  ['serveStdio', (options) => serveStdio(options)],
])('%s refuses options that are not an object, and options that throw', async (_, open) => {
  const throwing = new Proxy(
    {},
    {
      ownKeys() {
        throw new Error('broken');
      },
    },
  );
  for (const options of [null, 7, 'options', throwing]) {
    const opening = new Promise((resolve) => resolve(open(options as never)));
    expect(await outcome(opening)).toBe('invalid_params');
  }
});

test.each<[string, () => unknown]>([
  [
    'a cycle',
    () => {
      const params: Record<string, unknown> = { ...binding };
      params.self = params;
      return params;
    },
  ],
  ['a BigInt', () => ({ ...binding, more: 1n })],
  [
    'a getter that throws',
    () => ({
      ...binding,
      get more() {
        throw new Error('broken');
      },
    }),
  ],
])('the in-memory store refuses params with %s', async (_, make) => {
  const store = createInMemoryDeviceKeyStore({ protectionClass: 'hardware_tpm' });
  expect(await outcome(store.create(make() as never))).toBe('invalid_params');
  expect(await outcome(store.sign(make() as never))).toBe('invalid_params');
  await store.close();
});

describe('a request handler', () => {
  const handle = createDeviceKeyRequestHandler({
    store: stubStore({ list: () => Promise.resolve([]) }),
    transport: 'stdio',
  });
  const request = { id: 1, method: 'device/key/list' };

  test('treats null options as absent', async () => {
    expect(await handle(request, null)).toEqual({ id: 1, result: { keys: [] } });
  });

  test('answers a request whose options cannot be read with invalid_params', async () => {
    const options = {
      get signal(): AbortSignal {
        throw new Error('broken');
      },
    };
    expect(await handle(request, options)).toMatchObject({
      id: 1,
      error: { data: { code: 'invalid_params' } },
    });
  });

  test('answers a message whose members cannot be read with invalid_request', async () => {
    const message = {
      get id() {
        throw new Error('broken');
      },
    };
    expect(await handle(message)).toMatchObject({
      id: null,
      error: { data: { code: 'invalid_request' } },
    });
  });
});
