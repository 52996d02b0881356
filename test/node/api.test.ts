// The functions and methods of the package: their arguments, results and rejections.
import { readFile, writeFile } from 'node:fs/promises';

import fc from 'fast-check';

import {
  DeviceKeyError,
  type DeviceKeySignPayload,
  type DeviceKeyStore,
} from '../../dist/index.js';
import { TestMachine } from '../support/machine';
import { outcome } from '../support/outcome';
import { binding, connectionPayload, enrollmentPayload, secondsAhead } from '../support/payloads';
import { onWindows } from '../support/platform';
import { expectedSignedText, publicKeyOf, signedText, verifies } from '../support/proof';

let machine: TestMachine;
let store: DeviceKeyStore;
let keyId: string;

beforeAll(async () => {
  machine = await TestMachine.start();
  store = machine.open();
  ({ keyId } = await store.create(binding));
});
afterAll(() => machine.stop());

// The three methods with params, without the compiler's checks.
const methods = {
  create: (params: unknown) => store.create(params as never),
  public: (params: unknown) => store.public(params as never),
  sign: (params: unknown) => store.sign(params as never),
  delete: (params: unknown) => store.delete(params as never),
};
const methodNames = Object.keys(methods) as (keyof typeof methods)[];

async function rejection(promise: Promise<unknown>): Promise<DeviceKeyError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof DeviceKeyError) return error;
    throw error;
  }
  throw new Error('it did not reject');
}

describe('create', () => {
  test('returns a key id, a P-256 public key, the algorithm and the protection class', async () => {
    const key = await store.create(binding);
    expect(key).toEqual({
      keyId: expect.stringMatching(/^dk_tpm_[A-Za-z0-9_-]{43}$/) as string,
      publicKeySpkiDerBase64: expect.any(String) as string,
      algorithm: 'ecdsa_p256_sha256',
      protectionClass: 'hardware_tpm',
    });
    expect(publicKeyOf(key.publicKeySpkiDerBase64).asymmetricKeyDetails).toEqual({
      namedCurve: 'prime256v1',
    });
  });

  test('makes a different key each time', async () => {
    const [one, other] = await Promise.all([store.create(binding), store.create(binding)]);
    expect(one.keyId).not.toBe(other.keyId);
    expect(one.publicKeySpkiDerBase64).not.toBe(other.publicKeySpkiDerBase64);
  });

  test.each([undefined, null, 'hardware_only', 'allow_os_protected_nonextractable'] as const)(
    'takes the protection policy %p, and prefers hardware under each',
    async (protectionPolicy) => {
      const params = { ...binding, protectionPolicy } as typeof binding;
      await expect(store.create(params)).resolves.toMatchObject({
        protectionClass: 'hardware_tpm',
      });
    },
  );

  test.each(['constructor', '__proto__', 'toString', '../../etc/passwd', '日本 😀', "'; --"])(
    'takes any text for an account, such as %s',
    async (accountUserId) => {
      const key = await store.create({ ...binding, accountUserId });
      const payload = connectionPayload({ accountUserId });
      const proof = await store.sign({ keyId: key.keyId, payload });
      expect(verifies(key.publicKeySpkiDerBase64, proof)).toBe(true);
    },
  );
});

describe('public', () => {
  test('returns the same as create', async () => {
    const key = await store.create(binding);
    await expect(store.public({ keyId: key.keyId })).resolves.toEqual(key);
  });

  test('rejects with key_not_found for an unknown key', async () => {
    const absent = `dk_tpm_${'A'.repeat(43)}`;
    await expect(store.public({ keyId: absent })).rejects.toMatchObject({
      code: 'key_not_found',
      message: expect.stringContaining(absent) as string,
    });
  });

  test.each([
    '',
    'dk_tpm_',
    '../../etc/passwd',
    `dk_tpm_${'A'.repeat(42)}/`,
    `dk_xyz_${'A'.repeat(43)}`,
  ])('refuses the malformed key id "%s"', async (id) => {
    await expect(store.public({ keyId: id })).rejects.toMatchObject({
      code: 'invalid_params',
      message: expect.stringMatching(/^keyId: expected/) as string,
    });
  });
});

describe('list', () => {
  test('shows every key with its binding and the time of its creation', async () => {
    const key = await store.create({ accountUserId: 'listed', clientId: 'c' });
    const listed = (await store.list()).find((each) => each.keyId === key.keyId);
    expect(listed).toEqual({
      ...key,
      accountUserId: 'listed',
      clientId: 'c',
      use: 'remote_control',
      origins: null,
      createdAt: expect.any(Number) as number,
    });
  });
});

describe('sign', () => {
  test('returns a signature that verifies, over exactly the bytes of the payload', async () => {
    const { publicKeySpkiDerBase64 } = await store.public({ keyId });
    const payload = connectionPayload();
    const proof = await store.sign({ keyId, payload });
    expect(Object.keys(proof).sort()).toEqual([
      'algorithm',
      'signatureDerBase64',
      'signedPayloadBase64',
    ]);
    expect(signedText(proof)).toBe(expectedSignedText(payload));
    expect(verifies(publicKeySpkiDerBase64, proof)).toBe(true);
  });

  test('leaves unknown members out of the signed bytes', async () => {
    const payload = connectionPayload();
    const extended = { ...payload, isAdmin: true, __proto__: { scopes: [] } };
    const proof = await store.sign({ keyId, payload: extended });
    expect(signedText(proof)).toBe(expectedSignedText(payload));
  });

  test('refuses a payload of one type with the members of the other', async () => {
    const payload = { ...enrollmentPayload(), type: 'remoteControlClientConnection' };
    const error = await rejection(methods.sign({ keyId, payload }));
    expect(error.code).toBe('invalid_payload');
  });
});

describe('bad input', () => {
  const circular: Record<string, unknown> = {};
  circular.self = circular;

  const notParams: [string, unknown][] = [
    ['undefined', undefined],
    ['null', null],
    ['an array', []],
    ['a string', 'dk_tpm_'],
    ['a number', 7],
    ['a BigInt', 1n],
    ['a symbol', Symbol('s')],
    ['a function', () => undefined],
    ['a circular object', circular],
    ['an empty object', {}],
    ['an object with a BigInt', { keyId: 1n, accountUserId: 1n }],
    ['an object that turns into null', { toJSON: () => null }],
    ['an object whose toJSON throws', { toJSON: thrower }],
    [
      'a getter that throws',
      Object.defineProperty({}, 'keyId', { enumerable: true, get: thrower }),
    ],
    ['members of a prototype', Object.create({ keyId: 'x', accountUserId: 'x' })],
    ['__proto__ as a member', JSON.parse('{"__proto__": {"keyId": "x", "accountUserId": "x"}}')],
    ['a revoked proxy', revokedProxy()],
    ['lone surrogates', { keyId: '\ud800', accountUserId: '\ud800', clientId: 'c' }],
    [
      'a string of two mebibytes',
      { keyId: 'x'.repeat(2 ** 21), accountUserId: 'x'.repeat(2 ** 21) },
    ],
    ['a Map', new Map([['keyId', 'x']])],
    [
      'strings that are String objects and no text',
      { keyId: [new String('x')], accountUserId: {} },
    ],
  ];

  function thrower(): never {
    throw new Error('from the getter');
  }

  function revokedProxy(): object {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    return proxy;
  }

  describe.each(methodNames)('%s', (method) => {
    test.each(notParams)('rejects %s with invalid_params', async (_, params) => {
      const error = await rejection(methods[method](params));
      expect(error.code).toBe('invalid_params');
      expect(error.message).not.toBe('');
    });
  });

  test.each([
    [{ clientId: 'c' }, 'accountUserId'],
    [{ accountUserId: 7, clientId: 'c' }, 'accountUserId'],
    [{ accountUserId: '', clientId: 'c' }, 'accountUserId'],
    [{ accountUserId: 'a\0b', clientId: 'c' }, 'accountUserId'],
    [{ accountUserId: 'a' }, 'clientId'],
    [{ accountUserId: 'a', clientId: null }, 'clientId'],
    [{ ...binding, protectionPolicy: 'none' }, 'protectionPolicy'],
    [{ ...binding, protectionPolicy: [] }, 'protectionPolicy'],
  ])('create names the member at fault: %j', async (params, member) => {
    const error = await rejection(methods.create(params));
    expect(error.message).toMatch(new RegExp(`^${member}: expected`));
  });

  const secret = 'do-not-repeat-this';

  test.each<[string, Record<string, unknown>]>([
    ['type', { type: secret }],
    ['nonce', { nonce: secret }],
    ['nonce', { nonce: [secret] }],
    ['audience', { audience: secret }],
    ['sessionId', { sessionId: { secret } }],
    ['sessionId', { sessionId: '' }],
    ['targetOrigin', { targetOrigin: `https://${secret}.example` }],
    ['targetOrigin', { targetOrigin: `https://user:${secret}@chatgpt.com` }],
    ['targetPath', { targetPath: `/${secret}` }],
    ['tokenExpiresAt', { tokenExpiresAt: secondsAhead(-5) }],
    ['tokenExpiresAt', { tokenExpiresAt: secondsAhead(5000) }],
    ['tokenExpiresAt', { tokenExpiresAt: secret }],
    ['tokenExpiresAt', { tokenExpiresAt: 1.5 }],
    ['tokenSha256Base64url', { tokenSha256Base64url: secret }],
    ['scopes', { scopes: [secret] }],
    ['scopes', { scopes: [] }],
    ['scopes', { scopes: secret }],
    ['accountUserId', { accountUserId: '' }],
    ['clientId', { clientId: undefined }],
  ])('sign names payload.%s and does not quote it: %j', async (member, changes) => {
    const payload = { ...connectionPayload(), ...changes };
    const error = await rejection(methods.sign({ keyId, payload }));
    expect(error.code).toBe('invalid_payload');
    expect(error.message).toMatch(new RegExp(`^payload\\.${member}: expected`));
    expect(error.message + JSON.stringify(error)).not.toContain(secret);
  });

  test('the message for another account does not quote it', async () => {
    const payload = connectionPayload({ accountUserId: secret });
    const error = await rejection(store.sign({ keyId, payload }));
    expect(error.code).toBe('binding_mismatch');
    expect(error.message).not.toContain(secret);
  });
});

describe('an error', () => {
  test('is a DeviceKeyError and an Error, with a name, a code and a stack', async () => {
    const error = await rejection(methods.public({ keyId: 'x' }));
    expect(error).toBeInstanceOf(DeviceKeyError);
    expect(error).toBeInstanceOf(Error);
    expect(error.name).toBe('DeviceKeyError');
    expect(error.code).toBe('invalid_params');
    expect(error.stack).toContain(`DeviceKeyError: ${error.message}`);
  });

  test('can be written to a log as JSON', async () => {
    const error = await rejection(methods.public({ keyId: 'x' }));
    expect(JSON.parse(JSON.stringify(error))).toEqual({ code: 'invalid_params' });
  });

  test('has the status of the key store in hexadecimal', async () => {
    const other = await TestMachine.start();
    try {
      const lostKeyId = await other.enroll();
      // Without its parent's name the record is refused by the TPM, so the error has the TPM's
      // status.
      const path = other.recordPath(lostKeyId);
      const record = JSON.parse(await readFile(path, 'utf8')) as { handle: object };
      await writeFile(
        path,
        JSON.stringify({ ...record, handle: { ...record.handle, parentName: undefined } }),
      );
      await other.tpm.swapState();
      const error = await rejection(
        other.open().sign({ keyId: lostKeyId, payload: connectionPayload() }),
      );
      expect(JSON.parse(JSON.stringify(error))).toEqual({
        code: 'key_lost',
        platformStatus: onWindows ? '0x80090016' : '0x1df',
      });
    } finally {
      await other.stop();
    }
  });

  test('has a cause for params that cannot be written as JSON', async () => {
    const error = await rejection(methods.create({ accountUserId: 1n }));
    expect(error.cause).toBeInstanceOf(TypeError);
  });
});

describe('for any JSON value', () => {
  const refused = ['invalid_params', 'invalid_payload', 'key_not_found', 'binding_mismatch'];

  // Mostly nearly valid, because the first check refuses everything else.
  const almost = <Params extends object>(params: Params) =>
    fc
      .tuple(fc.constantFrom(...Object.keys(params)), fc.jsonValue())
      .map(([member, value]) => ({ ...params, [member]: value }));

  test.each(methodNames)('%s succeeds or rejects with the reason', async (method) => {
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.jsonValue(),
          almost({ keyId, payload: connectionPayload(), ...binding }),
          almost(connectionPayload()).map((payload) => ({ keyId, payload })),
        ),
        async (params) => {
          // Does not delete the key of these tests.
          fc.pre(method !== 'delete' || (params as { keyId?: unknown } | null)?.keyId !== keyId);
          expect(['fulfilled', ...refused]).toContain(await outcome(methods[method](params)));
        },
      ),
      { numRuns: 300 },
    );
  });

  // Any well-formed, non-empty text without NUL, often with characters that JSON escapes.
  const id = fc
    .string({
      unit: fc.oneof(
        fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
        fc.constantFrom('"', '\\', '\n', '\u2028', '\x7f', '😀'),
      ),
      minLength: 1,
    })
    .filter((text) => !text.includes('\0'));
  const bytes = (size: { minLength: number; maxLength: number }) =>
    fc.uint8Array(size).map((octets) => Buffer.from(octets).toString('base64url'));
  const nonce = bytes({ minLength: 32, maxLength: 80 });
  const digest = bytes({ minLength: 32, maxLength: 32 });
  const expiry = fc.integer({ min: 60, max: 890 }).map(secondsAhead);
  const targetOrigin = fc.oneof(
    fc.constantFrom('https://chatgpt.com', 'https://a.b.chatgpt-staging.com', 'http://[::1]:9'),
    fc.integer({ min: 1024, max: 65_535 }).map((port) => `http://localhost:${port}`),
  );
  const payloads: fc.Arbitrary<DeviceKeySignPayload> = fc.oneof(
    fc
      .record({
        nonce,
        sessionId: id,
        targetOrigin,
        targetPath: fc.constantFrom(
          '/api/codex/remote/control/client',
          '/wham/remote/control/client',
        ),
        tokenExpiresAt: expiry,
        tokenSha256Base64url: digest,
      })
      .map(connectionPayload),
    fc
      .record({
        nonce,
        challengeId: id,
        targetOrigin,
        targetPath: fc.constantFrom(
          '/api/codex/remote/control/client/enroll',
          '/wham/remote/control/client/enroll',
        ),
        challengeExpiresAt: expiry,
        deviceIdentitySha256Base64url: digest,
      })
      .map(enrollmentPayload),
  );

  test('a valid payload is signed in its only canonical form', async () => {
    const { publicKeySpkiDerBase64 } = await store.public({ keyId });
    await fc.assert(
      fc.asyncProperty(payloads, async (payload) => {
        const proof = await store.sign({ keyId, payload });
        expect(signedText(proof)).toBe(expectedSignedText(payload));
        expect(verifies(publicKeySpkiDerBase64, proof)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  test('a key can be bound to any two texts, and signs only for those', async () => {
    await fc.assert(
      fc.asyncProperty(id, id, async (accountUserId, clientId) => {
        const key = await store.create({ accountUserId, clientId });
        const sign = (owner: typeof binding) =>
          outcome(store.sign({ keyId: key.keyId, payload: connectionPayload(owner) }));
        expect(await sign({ accountUserId, clientId })).toBe('fulfilled');
        expect(await sign({ accountUserId: `${accountUserId}.`, clientId })).toBe(
          'binding_mismatch',
        );
        expect(await sign({ accountUserId, clientId: `${clientId}.` })).toBe('binding_mismatch');
      }),
      { numRuns: 30 },
    );
  });
});

describe('a TPM with three slots', () => {
  // More before a release.
  const signatures = Number(process.env.DEVICE_KEY_TEST_SIGNATURES ?? 1000);

  test(
    `makes ${signatures} signatures with four keys in turn, and is left empty`,
    async () => {
      const own = await TestMachine.start();
      try {
        const ownStore = own.open();
        const keys = [];
        for (let i = 0; i < 4; i += 1) keys.push(await ownStore.create(binding));
        for (let i = 0; i < signatures; i += 1) {
          const key = keys[i % keys.length]!;
          const proof = await ownStore.sign({ keyId: key.keyId, payload: connectionPayload() });
          if (!verifies(key.publicKeySpkiDerBase64, proof)) throw new Error(`signature ${i}`);
        }
        await ownStore.close();
        expect(await own.tpm.getcap('handles-transient')).toBe('');
        expect(await own.tpm.getcap('handles-loaded-session')).toBe('');
      } finally {
        await own.stop();
      }
    },
    60_000 + signatures * 20,
  );
});
