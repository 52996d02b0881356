// The in-memory store of node-device-key/testing has the rules of the addon in TypeScript. Here
// both get the same generated and mutated input. They must accept it with the same signed bytes, or
// refuse it with the same error.
import fc from 'fast-check';

import { DeviceKeyError, DeviceKeyStore, type DeviceKeySignParams } from '../../dist/index.js';
import type { TargetPolicy } from '../../dist/index.js';
import { createInMemoryDeviceKeyStore, type InMemoryDeviceKeyStore } from '../../dist/testing.js';
import { TestMachine } from '../support/machine';
import { binding, connectionPayload, enrollmentPayload, secondsAhead } from '../support/payloads';
import { verifies } from '../support/proof';

type JsonObject = Record<string, unknown>;

let machine: TestMachine;

beforeAll(async () => {
  machine = await TestMachine.start();
});
afterAll(() => machine.stop());

/** The code and the message of the refusal, or the result of `accepted`. */
async function ending<Result>(
  start: () => Promise<Result> | Result,
  accepted: (result: Result) => string,
): Promise<string> {
  try {
    return accepted(await start());
  } catch (error) {
    if (!(error instanceof DeviceKeyError)) throw error;
    return `${error.code}: ${comparable(error.message)}`;
  }
}

/** Messages differ only in the byte position of a malformed text and in the name of the store. */
function comparable(message: string): string {
  if (message.includes('a lone surrogate')) return 'a lone surrogate';
  return message.startsWith('there is no key') ? 'there is no key' : message;
}

// "binary" is any code point except a surrogate.
const anyString = fc.string({ unit: 'binary', maxLength: 12 });
const anyJson = fc.jsonValue({ stringUnit: 'binary', maxDepth: 4 });

const hostile: fc.Arbitrary<unknown> = fc.constantFrom<unknown>(
  ...[undefined, null, Number.NaN, -0, 1.5, 2 ** 53, 2 ** 63, 1n, Symbol('s'), () => 1],
  ...['\ud800', 'a\udc00b', 'a\0', '', [], {}, [undefined], new Date(0), { toJSON: () => 'x' }],
  ...[{ '\udfff': 1 }, nested(60), nested(66), 'x'.repeat(2 ** 20), new Uint8Array(2)],
);

function nested(levels: number): unknown {
  let value: unknown = 0;
  for (let level = 0; level < levels; level += 1) value = [value];
  return value;
}

const bytesInBase64Url = fc
  .uint8Array({ minLength: 30, maxLength: 34 })
  .map((bytes) => Buffer.from(bytes).toString('base64url'));

/** Canonical or nearly so: padded, in the other alphabet, with additional bits or characters. */
const nearlyBase64Url = fc
  .tuple(bytesInBase64Url, fc.constantFrom('', '=', '==', 'A', 'B', '\n', ' ', '+', '/', 'é', '\0'))
  .map(([text, end]) => text + end);

const host = fc.oneof(
  fc.constantFrom(
    ...['chatgpt.com', 'a.chatgpt.com', 'a.b.chatgpt-staging.com', 'xchatgpt.com', '.chatgpt.com'],
    ...[
      'localhost',
      'LOCALHOST',
      'a.localhost',
      '127.0.0.1',
      '127.255.0.256',
      '127.1',
      '127.00.0.1',
    ],
    ...[
      '128.0.0.1',
      '2130706433',
      '0x7f.1',
      'a.0x',
      'a.08',
      '[::1]',
      '[::2]',
      '[::1',
      '::1',
      '1.com',
    ],
    ...['-a.com', 'a-.com', 'a_b.com', 'rc.example.com', 'RC.example.com', 'ｃhatgpt.com', ''],
    ...['user@chatgpt.com', `${'a'.repeat(63)}.com`, `${'a'.repeat(64)}.com`],
    ...[`${'a.'.repeat(125)}com`, `${'a.'.repeat(126)}com`],
  ),
  fc.domain(),
);
const port = fc.oneof(
  fc.constantFrom(
    '',
    ':',
    ':443',
    ':80',
    ':8443',
    ':08443',
    ':0',
    ':65535',
    ':65536',
    ':1:2',
    ':+1',
  ),
  fc.integer({ min: 1, max: 70_000 }).map((number) => `:${number}`),
);
const origin = fc
  .tuple(
    fc.constantFrom('https://', 'http://', 'https:', 'HTTPS://', ' https://', 'wss://', ''),
    host,
    port,
    fc.constantFrom('', '', '', '/', '/x', '?', '#', ' ', '\n', '\\'),
  )
  .map((parts) => parts.join(''));

const targetPath = fc.constantFrom(
  ...['/api/codex/remote/control/client', '/wham/remote/control/client', '/api', '/rc', ''],
  ...['/api/codex/remote/control/client/enroll', '/wham/remote/control/client/enroll/'],
);

// Whole seconds away from the limits, because time passes between the two stores.
const expiry = fc
  .constantFrom(-1_000, -3, 3, 100, 897, 903, 5_000, 2 ** 40)
  .map((seconds) => secondsAhead(seconds));

/** A valid payload for a target that `target` describes. */
const keptPayload = ({ origin: targetOrigin, connection, enrollment }: Target) =>
  fc.tuple(anyString, anyString, fc.boolean()).map(([unknown, id, isConnection]): JsonObject => {
    const payload = isConnection
      ? connectionPayload({ targetOrigin, targetPath: connection, sessionId: id || 'id' })
      : enrollmentPayload({ targetOrigin, targetPath: enrollment, challengeId: id || 'id' });
    return { ...payload, unknown };
  });

const valueOf: Record<string, fc.Arbitrary<unknown>> = {
  type: fc.constantFrom(
    'remoteControlClientConnection',
    'remoteControlClientEnrollment',
    'toString',
  ),
  audience: fc.constantFrom('remote_control_client_websocket', 'remote_control_client_enrollment'),
  nonce: nearlyBase64Url,
  tokenSha256Base64url: nearlyBase64Url,
  deviceIdentitySha256Base64url: nearlyBase64Url,
  targetOrigin: origin,
  targetPath,
  tokenExpiresAt: expiry,
  challengeExpiresAt: expiry,
  scopes: fc.constantFrom([], ['remote_control_controller_websocket', 'x'], ['x'], 'x', [1]),
};

type Change = (object: JsonObject) => void;

/** One member is missing, renamed, or has a value that is valid, nearly valid or wrong. */
const change: fc.Arbitrary<Change> = fc
  .tuple(fc.nat(), fc.constantFrom('value', 'value', 'any', 'delete', 'rename', 'add'))
  .chain(([choice, kind]): fc.Arbitrary<Change> => {
    const nameIn = (object: JsonObject) => {
      const names = Object.keys(object);
      return names[choice % names.length] ?? '';
    };
    const values = fc.record(valueOf);
    return fc
      .tuple(values, fc.oneof(anyJson, anyString, hostile))
      .map(([right, any]) => (object) => {
        const name = nameIn(object);
        if (kind === 'delete' || kind === 'rename') delete object[name];
        if (kind === 'rename') object[name.toUpperCase()] = any;
        if (kind === 'add') object['__proto__x'] = any;
        if (kind === 'any') object[name] = any;
        if (kind === 'value') object[name] = name in right ? right[name] : any;
      });
  });

interface Target {
  targets?: TargetPolicy;
  origin: string;
  connection: string;
  enrollment: string;
}

const policies: Record<string, Target> = {
  'the default targets': {
    origin: 'https://chatgpt.com',
    connection: '/wham/remote/control/client',
    enrollment: '/wham/remote/control/client/enroll',
  },
  'narrower targets': {
    targets: {
      httpsHosts: ['rc.example.com:8443', '*.chatgpt.com'],
      allowLoopback: false,
      connectionPaths: ['/rc', '/api'],
      maxLifetimeSeconds: 4_000,
    },
    origin: 'https://rc.example.com:8443',
    connection: '/rc',
    enrollment: '/wham/remote/control/client/enroll',
  },
  'wider targets': {
    targets: {
      httpsHosts: ['*.com', '*.test', 'chatgpt.com'],
      enrollmentPaths: ['/api', '/rc'],
      maxLifetimeSeconds: 2 ** 60,
    },
    origin: 'http://localhost:8000',
    connection: '/api/codex/remote/control/client',
    enrollment: '/rc',
  },
};

describe.each(Object.entries(policies))('with %s, both stores', (_, target) => {
  const { targets } = target;
  let native: DeviceKeyStore;
  let inMemory: InMemoryDeviceKeyStore;
  let keys: { keyId: string; publicKeySpkiDerBase64: string }[];

  beforeAll(async () => {
    const options = targets ? { targets } : {};
    native = machine.open(options);
    inMemory = createInMemoryDeviceKeyStore({ ...options, protectionClass: 'hardware_tpm' });
    keys = [await native.create(binding), await inMemory.create(binding)];
  });
  afterAll(() => Promise.all([native.close(), inMemory.close()]));

  async function agreeToSign(paramsFor: (keyId: string) => unknown): Promise<string> {
    const [inHardware, onlyInMemory] = await Promise.all(
      [native, inMemory].map((store, index) => {
        const key = keys[index]!;
        return ending(
          () => store.sign(paramsFor(key.keyId) as DeviceKeySignParams),
          (proof) => {
            expect(verifies(key.publicKeySpkiDerBase64, proof)).toBe(true);
            return Buffer.from(proof.signedPayloadBase64, 'base64').toString();
          },
        );
      }),
    );
    expect(onlyInMemory).toBe(inHardware);
    return inHardware!;
  }

  test('sign the same bytes', async () => {
    await fc.assert(
      fc.asyncProperty(keptPayload(target), expiry, async (payload, expires) => {
        if ('tokenExpiresAt' in payload) payload.tokenExpiresAt = expires;
        await agreeToSign((keyId) => ({ keyId, payload }));
      }),
      { numRuns: 300 },
    );
  });

  test('refuse the same payloads with the same error', async () => {
    const endings = new Set<string>();
    await fc.assert(
      fc.asyncProperty(keptPayload(target), change, async (payload, mutate) => {
        mutate(payload);
        const result = await agreeToSign((keyId) => ({ keyId, payload }));
        endings.add(result.slice(0, result.indexOf(':')));
      }),
      { numRuns: 1_000 },
    );
    expect([...endings]).toEqual(
      expect.arrayContaining([
        '{"domain"',
        'invalid_payload',
        'invalid_params',
        'binding_mismatch',
      ]),
    );
  });

  test('refuse the same params with the same error', async () => {
    await fc.assert(
      fc.asyncProperty(
        keptPayload(target),
        change,
        fc.oneof(anyJson, hostile),
        async (payload, mutate, any) => {
          await agreeToSign((keyId) => {
            const params: JsonObject = { keyId, payload };
            mutate(params);
            return params;
          });
          await agreeToSign(() => any);
        },
      ),
      { numRuns: 200 },
    );
  });
});

test('both stores accept the same targets', async () => {
  const hostPattern = fc
    .tuple(fc.constantFrom('', '*.', '*', '.'), host, port)
    .map((parts) => parts.join(''));
  const path = fc.oneof(
    targetPath,
    fc.webPath(),
    fc.string({ unit: 'binary' }).map((text) => `/${text}`),
  );
  const targets = fc.record(
    {
      httpsHosts: fc.oneof(fc.array(hostPattern, { maxLength: 2 }), hostile),
      allowLoopback: fc.oneof(fc.boolean(), hostile),
      connectionPaths: fc.oneof(fc.array(path, { maxLength: 2 }), hostile),
      enrollmentPaths: fc.oneof(fc.array(fc.oneof(path, hostile), { maxLength: 2 }), hostile),
      maxLifetimeSeconds: fc.oneof(fc.integer(), fc.double(), hostile),
      httpHosts: hostile,
    },
    { requiredKeys: [] },
  );
  const openAndClose = async (store: { close(): Promise<void> }) => {
    await store.close();
    return 'opened';
  };
  await fc.assert(
    fc.asyncProperty(fc.oneof(targets, anyJson, hostile), async (given) => {
      const option = { targets: given as TargetPolicy };
      const inHardware = await ending(() => openAndClose(machine.open(option)), String);
      const onlyInMemory = await ending(
        () => openAndClose(createInMemoryDeviceKeyStore(option)),
        String,
      );
      // If there are several errors, the two may name different ones.
      const code = (result: string) => result.split(':')[0];
      expect(code(onlyInMemory)).toBe(code(inHardware));
    }),
    { numRuns: 500 },
  );
});

test('both stores accept the same params of create, public and delete', async () => {
  const native = machine.open();
  const inMemory = createInMemoryDeviceKeyStore({ protectionClass: 'hardware_tpm' });
  const unknownKey = `dk_tpm_${Buffer.alloc(32).toString('base64url')}`;
  const params = fc.record(
    {
      accountUserId: fc.oneof(anyString, hostile),
      clientId: fc.oneof(anyString, hostile),
      protectionPolicy: fc.oneof(
        fc.constantFrom(null, 'hardware_only', 'allow_os_protected_nonextractable', 'none'),
        hostile,
      ),
      keyId: fc.oneof(
        fc.constantFrom(unknownKey, `${unknownKey}=`, unknownKey.slice(1), 'dk_tpm_'),
        nearlyBase64Url.map((text) => `dk_osn_${text}`),
        hostile,
      ),
    },
    { requiredKeys: [] },
  );
  await fc.assert(
    fc.asyncProperty(fc.oneof(params, anyJson, hostile), async (given) => {
      for (const method of ['create', 'public', 'delete'] as const) {
        const [inHardware, onlyInMemory] = await Promise.all(
          [native, inMemory].map((store) =>
            ending<unknown>(
              () => store[method](given as never),
              () => 'accepted',
            ),
          ),
        );
        expect(`${method} ${onlyInMemory!}`).toBe(`${method} ${inHardware!}`);
      }
    }),
    { numRuns: 300 },
  );
  await Promise.all([native.close(), inMemory.close()]);
});

test('both stores make and refuse the same DPoP proofs', async () => {
  const native = machine.open();
  const inMemory = createInMemoryDeviceKeyStore({ protectionClass: 'hardware_tpm' });
  const params = { clientId: 'c', origins: ['https://chatgpt.com', 'http://localhost:8000'] };
  const keys = [await native.createDpopKey(params), await inMemory.createDpopKey(params)];
  // Most values are valid, so that many requests have no error or one error.
  const mostly = (good: fc.Arbitrary<unknown>, other: fc.Arbitrary<unknown>) =>
    fc.oneof({ weight: 4, arbitrary: good }, { weight: 1, arbitrary: other });
  const segment = fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom('a', '...', '@:;=') },
    fc.constantFrom('.', '..', '%2e', '.%2E', '%', '?', '#', '\\', ' ', '^', '|'),
    fc.string({ unit: 'binary', maxLength: 3 }),
  );
  const targetUrl = fc
    .tuple(
      fc.oneof(
        fc.constantFrom('https://chatgpt.com', 'http://localhost:8000', 'https://other.test'),
        origin,
      ),
      fc.array(segment, { minLength: 1, maxLength: 4 }),
    )
    .map(([from, segments]) => [from, ...segments].join('/'));
  const text = fc.oneof(anyString, hostile);
  const request = fc.record(
    {
      htm: mostly(fc.constantFrom('GET', 'POST', 'M-SEARCH'), fc.oneof(fc.constant('get'), text)),
      htu: mostly(targetUrl, text),
      nonce: mostly(
        fc.constantFrom('n', 'n'.repeat(1024)),
        fc.oneof(fc.constant('n'.repeat(1025)), text),
      ),
      accessToken: mostly(fc.constant('token'), text),
      accessTokenSha256Base64url: fc.oneof(nearlyBase64Url, hostile),
      authorizationCode: mostly(fc.constant('code'), text),
    },
    { requiredKeys: ['htm', 'htu'] },
  );
  const endings = new Set<string>();
  await fc.assert(
    fc.asyncProperty(request, async (given) => {
      const [inHardware, onlyInMemory] = await Promise.all(
        [native, inMemory].map((store, index) => {
          const { keyId, jwk } = keys[index]!;
          return ending(
            () => store.signDpop({ ...given, keyId } as never),
            ({ proof }) => {
              const [header, claims] = proof
                .split('.', 2)
                .map((part) => Buffer.from(part, 'base64url').toString());
              expect(header).toBe(JSON.stringify({ alg: 'ES256', jwk, typ: 'dpop+jwt' }));
              // Without a code, as JSON sees it: a function or a symbol is left out.
              const random = typeof given.authorizationCode === 'string' ? '' : /"jti":"[\w-]{22}"/;
              return `proof: ${claims!.replace(/"iat":\d+/, '').replace(random, '')}`;
            },
          );
        }),
      );
      expect(onlyInMemory).toBe(inHardware);
      endings.add(inHardware!.slice(0, inHardware!.indexOf(':')));
    }),
    {
      numRuns: 1_000,
      examples: [[{ htm: 'GET', htu: 'https://chatgpt.com/a', authorizationCode: () => 1 }]],
    },
  );
  expect([...endings].sort()).toEqual(['binding_mismatch', 'invalid_params', 'proof']);
  await Promise.all([native.close(), inMemory.close()]);
});

test('both stores accept the same params of createDpopKey', async () => {
  const native = machine.open();
  const inMemory = createInMemoryDeviceKeyStore({ protectionClass: 'hardware_tpm' });
  const params = fc.record(
    {
      clientId: fc.oneof(anyString, hostile),
      origins: fc.oneof(
        fc.array(fc.oneof(origin, fc.constant('https://a.test')), { maxLength: 3 }),
        hostile,
      ),
      protectionPolicy: fc.constantFrom(null, 'hardware_only', 'none'),
    },
    { requiredKeys: [] },
  );
  await fc.assert(
    fc.asyncProperty(fc.oneof(params, anyJson, hostile), async (given) => {
      const [inHardware, onlyInMemory] = await Promise.all(
        [native, inMemory].map((store) =>
          ending<unknown>(
            () => store.createDpopKey(given as never),
            () => 'accepted',
          ),
        ),
      );
      expect(onlyInMemory).toBe(inHardware);
    }),
    { numRuns: 300 },
  );
  await Promise.all([native.close(), inMemory.close()]);
});
