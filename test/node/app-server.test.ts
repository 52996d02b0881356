// The request handler that app-servers embed.
import { execFileSync } from 'node:child_process';
import path from 'node:path';

import {
  createDeviceKeyRequestHandler,
  type DeviceKeyRequestHandlerOptions,
  type DeviceKeyTransport,
  type JsonRpcResponse,
} from '../../dist/app-server.js';
import {
  DeviceKeyError,
  type DeviceKeyErrorCode,
  type DeviceKeySignResponse,
} from '../../dist/index.js';
import { createInMemoryDeviceKeyStore, type InMemoryDeviceKeyStore } from '../../dist/testing.js';
import { connectionPayload, binding } from '../support/payloads';
import { verifies } from '../support/proof';
import { stubStore } from '../support/stub-store';

const handlerOf = (options: Partial<DeviceKeyRequestHandlerOptions>) =>
  createDeviceKeyRequestHandler({ store: stubStore(), transport: 'in-process', ...options });

function errorOf(answer: JsonRpcResponse | undefined) {
  if (!answer || !('error' in answer)) throw new Error('expected an error');
  return answer.error;
}

describe('the methods', () => {
  let store: InMemoryDeviceKeyStore;
  let call: (method: string, params?: unknown) => Promise<unknown>;

  beforeEach(() => {
    store = createInMemoryDeviceKeyStore({ protectionClass: 'hardware_tpm' });
    const handle = handlerOf({ store });
    call = async (method, params) => {
      const answer = await handle({ id: 1, method, params });
      if (!answer || !('result' in answer)) throw new Error(JSON.stringify(answer));
      return answer.result;
    };
  });

  afterEach(() => store.close());

  test('device/key/create makes a key', async () => {
    const created = await call('device/key/create', binding);
    expect(await store.list()).toMatchObject([created as object]);
  });

  test('device/key/public returns the same as create', async () => {
    const created = await store.create(binding);
    expect(await call('device/key/public', { keyId: created.keyId })).toEqual(created);
  });

  test('device/key/sign returns a valid proof', async () => {
    const created = await store.create(binding);
    const proof = await call('device/key/sign', {
      keyId: created.keyId,
      payload: connectionPayload(),
    });
    expect(verifies(created.publicKeySpkiDerBase64, proof as DeviceKeySignResponse)).toBe(true);
  });

  test('device/key/delete deletes the key and returns an empty object', async () => {
    const { keyId } = await store.create(binding);
    expect(await call('device/key/delete', { keyId })).toEqual({});
    expect(await store.list()).toEqual([]);
  });

  test('device/key/list returns the keys with their bindings', async () => {
    const created = await store.create(binding);
    expect(await call('device/key/list')).toMatchObject({ keys: [{ ...created, ...binding }] });
  });

  test('device/key/support returns the protection of keys', async () => {
    expect(await call('device/key/support')).toEqual(await store.support());
  });

  test.each(['attest', 'activateAttestation'] as const)(
    'device/key/%s is passed to the store, with its signal',
    async (name) => {
      const method = jest.fn(() => Promise.resolve({ secret: 'c2VjcmV0' } as never));
      const handle = handlerOf({ store: stubStore({ [name]: method }) });
      const { signal } = new AbortController();
      const params = { keyId: 'key', challenge: 'challenge' };
      const answer = await handle({ id: 1, method: `device/key/${name}`, params }, { signal });
      expect(answer).toEqual({ id: 1, result: { secret: 'c2VjcmV0' } });
      expect(method).toHaveBeenCalledWith(params, { signal });
    },
  );

  test.each(['device/key/attest', 'device/key/activateAttestation'])(
    '%s is refused where the store has no such method',
    async (method) => {
      const answer = await handlerOf({})({ id: 1, method, params: { keyId: 'key' } });
      expect(errorOf(answer)).toMatchObject({
        code: -32600,
        data: { code: 'attestation_unsupported' },
      });
    },
  );
});

describe('answers', () => {
  const list = () => Promise.resolve([]);

  test.each(['', 'a', '1', '\ud800', 0, -1, 2 ** 53 - 1])(
    'have the id %j of the request',
    async (id) => {
      const answer = await handlerOf({ store: stubStore({ list }) })({
        id,
        method: 'device/key/list',
      });
      expect(answer).toEqual({ id, result: { keys: [] } });
    },
  );

  test.each([null, true, 0.5, 2 ** 53, 1e300, {}, []])('refuse the id %j', async (id) => {
    const answer = await handlerOf({})({ id, method: 'device/key/list' });
    expect(answer).toMatchObject({ id: null, error: { code: -32600 } });
  });

  test('have jsonrpc if the request has it', async () => {
    const handle = handlerOf({ store: stubStore({ list }) });
    const answers = await Promise.all(
      ['device/key/list', 'device/key/steal'].map((method) =>
        handle({ jsonrpc: '2.0', id: 1, method }),
      ),
    );
    expect(answers).toMatchObject([
      { jsonrpc: '2.0', result: {} },
      { jsonrpc: '2.0', error: {} },
    ]);
  });

  test.each([
    ['a batch', [{ id: 1, method: 'device/key/list' }], null],
    ['no object', 'device/key/list', null],
    ['undefined', undefined, null],
    ['an object without members', {}, null],
    ['no method', { id: 1 }, 1],
    ['a method that is no string', { id: 1, method: ['device/key/list'] }, 1],
    ['another version', { id: 1, jsonrpc: '1.0', method: 'device/key/list' }, 1],
  ])('refuse %s', async (_, message, id) => {
    expect(await handlerOf({})(message)).toMatchObject({
      id,
      error: { code: -32600, data: { code: 'invalid_request' } },
    });
  });

  test.each(['device/key/steal', 'toString', '__proto__', ''])(
    'know no method %j',
    async (method) => {
      expect(await handlerOf({})({ id: 1, method })).toMatchObject({
        error: { code: -32601, data: { code: 'method_not_found' } },
      });
    },
  );

  test('are not sent for notifications, which are ignored', async () => {
    const create = jest.fn();
    const handle = handlerOf({ store: stubStore({ create }) });
    expect(await handle({ method: 'device/key/create', params: binding })).toBeUndefined();
    expect(create).not.toHaveBeenCalled();
  });
});

describe('errors of the store', () => {
  const answerTo = async (error: unknown, onUnexpectedError?: (error: unknown) => void) => {
    const store = stubStore({ public: jest.fn().mockRejectedValue(error) });
    const handle = handlerOf({ store, ...(onUnexpectedError && { onUnexpectedError }) });
    return errorOf(await handle({ id: 1, method: 'device/key/public' }));
  };

  test.each<[number, DeviceKeyErrorCode[]]>([
    [
      -32600,
      [
        ...(['invalid_params', 'invalid_payload', 'binding_mismatch', 'key_not_found'] as const),
        ...(['hardware_unavailable', 'degraded_protection_not_allowed', 'key_lost'] as const),
        ...(['permission_denied', 'library_missing', 'pin_required', 'user_canceled'] as const),
      ],
    ],
    [-32603, ['platform_error', 'crypto_error', 'device_timeout', 'tpm_lockout', 'store_corrupt']],
  ])("become %i with the store's code and message", async (number, codes) => {
    for (const code of codes) {
      expect(await answerTo(new DeviceKeyError(code, `about ${code}`))).toEqual({
        code: number,
        message: `about ${code}`,
        data: { code },
      });
    }
  });

  test('keep the status of the layer below', async () => {
    const error = new DeviceKeyError('tpm_lockout', 'locked out', { platformStatus: '0x921' });
    expect((await answerTo(error)).data).toEqual({ code: 'tpm_lockout', platformStatus: '0x921' });
  });

  test.each([new Error('a secret'), Object.assign(new Error('a secret'), { code: 'ENOENT' }), 7])(
    'that are none of ours reach the embedder, and the client without their message: %p',
    async (error) => {
      const onUnexpectedError = jest.fn();
      const answer = await answerTo(error, onUnexpectedError);
      expect(answer).toMatchObject({ code: -32603, data: { code: 'platform_error' } });
      expect(answer.message).not.toContain('secret');
      expect(onUnexpectedError).toHaveBeenCalledWith(error);
    },
  );
});

describe('remote transports', () => {
  const transports: DeviceKeyTransport[] = ['websocket', 'remote'];

  test.each(transports)('%s is refused without calling the store', async (transport) => {
    const handle = handlerOf({ transport });
    expect(await handle({ jsonrpc: '2.0', id: 'x', method: 'device/key/sign', params: 7 })).toEqual(
      {
        jsonrpc: '2.0',
        id: 'x',
        error: {
          code: -32600,
          message: 'device/key/sign is not available over remote transports',
          data: { code: 'remote_transport_refused' },
        },
      },
    );
  });

  test.each([undefined, [], {}, { id: 1 }, { id: null, method: 'm' }, { id: 1, method: 'm' }])(
    'the refusal comes before any other error: %j',
    async (message) => {
      expect(errorOf(await handlerOf({ transport: 'remote' })(message)).data.code).toBe(
        'remote_transport_refused',
      );
    },
  );

  test.each(transports)('%s is served if the embedder allows it', async (transport) => {
    const store = stubStore({ list: () => Promise.resolve([]) });
    const handle = handlerOf({ store, transport, allowRemoteTransport: true });
    expect(await handle({ id: 1, method: 'device/key/list' })).toMatchObject({ result: {} });
  });

  test('only true allows it', async () => {
    const handle = handlerOf({ transport: 'remote', allowRemoteTransport: 'false' as never });
    expect(errorOf(await handle({ id: 1, method: 'device/key/list' })).data.code).toBe(
      'remote_transport_refused',
    );
  });

  test.each([undefined, 'tcp', 'toString'])('%p is not a transport', (transport) => {
    expect(() => handlerOf({ transport: transport as never })).toThrow(/^transport: expected/);
  });
});

test('aborting the signal ends a request with canceled', async () => {
  const store = createInMemoryDeviceKeyStore({ protectionClass: 'hardware_tpm' });
  const request = { id: 1, method: 'device/key/create', params: binding };
  const answer = await handlerOf({ store })(request, { signal: AbortSignal.abort() });
  expect(errorOf(answer).data.code).toBe('canceled');
  expect(await store.list()).toEqual([]);
});

test("no native code is loaded for a caller's store", () => {
  const script = `
    const { createDeviceKeyRequestHandler, serveStdio } = require('./dist/app-server');
    const store = { list: async () => [] };
    createDeviceKeyRequestHandler({ store, transport: 'stdio' })({ id: 1, method: 'device/key/list' })
      .then(() => serveStdio({ store }))
      .then(() => console.log(Object.keys(require.cache).join('\\n')));`;
  const loaded = execFileSync(process.execPath, ['-e', script], {
    cwd: path.join(__dirname, '../..'),
    input: '',
    encoding: 'utf8',
  });
  expect(loaded).toContain('app-server.js');
  expect(loaded).not.toMatch(/\.node$|native\.js|store\.js/m);
});

test.each(['app-server', 'testing'])(
  'require and import return the same exports of %s',
  (entry) => {
    const script = `
    const module = 'node-device-key/${entry}';
    const imported = Object.keys(await import(module));
    const required = Object.keys(createRequire(process.cwd() + '/')(module));
    console.log(JSON.stringify([imported, required]));`;
    const output = execFileSync(
      process.execPath,
      ['--input-type=module', '-e', `import { createRequire } from 'node:module'; ${script}`],
      { cwd: path.join(__dirname, '../..'), encoding: 'utf8' },
    );
    const [imported, required] = JSON.parse(output) as [string[], string[]];
    expect(required).not.toEqual([]);
    expect(imported).toEqual(expect.arrayContaining(required));
  },
);
