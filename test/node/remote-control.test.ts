// The replacement for desktop apps' device-key module, used like such an app does, with a real TPM.
import { execFile } from 'node:child_process';
import { createHash, createPublicKey, randomBytes, verify } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import vm from 'node:vm';

import { DeviceKeyError } from '../../lib/errors';
import {
  openRemoteControl,
  remoteControlTargets,
  type RemoteControlDeviceKeys,
} from '../../lib/remote-control';
import { DeviceKeyStore, type DeviceKeyStoreOptions } from '../../lib/store';
import { canonicalText } from '../support/software-signer';
import { SoftwareTpm } from '../support/swtpm';

const root = path.join(__dirname, '../..');

const sha256 = (data: string): string => createHash('sha256').update(data).digest('base64url');
const inSeconds = (seconds: number): number => Math.floor(Date.now() / 1000) + seconds;

const enrollment = {
  type: 'remoteControlClientEnrollment',
  nonce: randomBytes(32).toString('base64url'),
  audience: 'remote_control_client_enrollment',
  challengeId: 'rch_01',
  targetOrigin: 'https://chatgpt.com',
  targetPath: '/wham/remote/control/client/enroll',
  accountUserId: 'user-7f3a',
  clientId: 'cli_42',
  deviceIdentitySha256Base64url: sha256('device'),
  challengeExpiresAt: inSeconds(600),
};

const connection = {
  type: 'remoteControlClientConnection',
  nonce: randomBytes(32).toString('base64url'),
  audience: 'remote_control_client_websocket',
  sessionId: 'wssess_01',
  targetOrigin: 'https://chatgpt.com',
  targetPath: '/wham/remote/control/client',
  accountUserId: 'user-7f3a',
  clientId: 'cli_42',
  tokenExpiresAt: inSeconds(600),
  tokenSha256Base64url: sha256('token'),
  scopes: ['remote_control_controller_websocket'],
};

/** Like the apps: JSON.stringify with sorted members. */
const bytesOf = (payload: object): Buffer => Buffer.from(canonicalText(payload));
const enrollmentBytes = bytesOf(enrollment);
const connectionBytes = bytesOf(connection);

let tpm: SoftwareTpm;
let directory: string;
let keys: RemoteControlDeviceKeys;
let options: DeviceKeyStoreOptions;

beforeAll(async () => {
  tpm = await SoftwareTpm.start();
  directory = await mkdtemp(path.join(tmpdir(), 'dk-remote-'));
  options = { directory, tcti: tpm.tcti, allowSimulator: true };
  keys = openRemoteControl(options);
});

afterAll(async () => {
  await keys.close();
  await tpm.stop();
  await rm(directory, { recursive: true });
});

async function newKey(): Promise<string> {
  return (await keys.createDeviceKey()).keyId;
}

async function enrolledKey(): Promise<string> {
  const keyId = await newKey();
  await keys.signDeviceKey(keyId, enrollmentBytes);
  return keyId;
}

function isSigned(spkiBase64: string, bytes: Uint8Array, signatureBase64: string): boolean {
  const publicKey = createPublicKey({
    key: Buffer.from(spkiBase64, 'base64'),
    format: 'der',
    type: 'spki',
  });
  return verify('sha256', bytes, publicKey, Buffer.from(signatureBase64, 'base64'));
}

/**
 * Returns the error that `call` rejects with; fails if it throws synchronously, or something else.
 */
async function rejection(call: () => Promise<unknown>): Promise<DeviceKeyError> {
  const error: unknown = await call().then(
    () => 'nothing',
    (reason: unknown) => reason,
  );
  if (!(error instanceof DeviceKeyError)) throw new Error(`rejected with ${String(error)}`);
  return error;
}

const codeOf = async (call: () => Promise<unknown>): Promise<string> =>
  (await rejection(call)).code;

describe('the life of a key', () => {
  test('is created, enrolled, used and deleted', async () => {
    const created = await keys.createDeviceKey('hardware_only');
    const { keyId, publicKeySpkiDerBase64 } = created;

    for (const bytes of [enrollmentBytes, connectionBytes]) {
      // The members that the app sends to its backend.
      const proof = {
        ...(await keys.signDeviceKey(keyId, bytes)),
        signedPayloadBase64: bytes.toString('base64'),
      };
      expect(isSigned(publicKeySpkiDerBase64, bytes, proof.signatureDerBase64)).toBe(true);
    }
    await expect(keys.getDeviceKeyPublic(keyId)).resolves.toEqual(created);
    await expect(keys.deleteDeviceKey(keyId)).resolves.toBeUndefined();
    expect(await codeOf(() => keys.getDeviceKeyPublic(keyId))).toBe('key_not_found');
    expect(await codeOf(() => keys.signDeviceKey(keyId, connectionBytes))).toBe('key_not_found');
    await expect(keys.deleteDeviceKey(keyId)).resolves.toBeUndefined();
  });

  test('continues when the app is restarted', async () => {
    const before = openRemoteControl(options);
    const { keyId } = await before.createDeviceKey();
    await before.signDeviceKey(keyId, enrollmentBytes);
    await before.close();

    const after = openRemoteControl(options);
    await expect(after.signDeviceKey(keyId, connectionBytes)).resolves.toBeDefined();
    await after.close();
  });
});

describe('a missing key', () => {
  const missing = `dk_tpm_${Buffer.alloc(32).toString('base64url')}`;

  test.each([missing, 'dk_se_0f3b', '3f2504e0-4f89-11d3-9a0c-0305e82c3301'])(
    'is deleted without an error: %s',
    async (keyId) => {
      await expect(keys.deleteDeviceKey(keyId)).resolves.toBeUndefined();
    },
  );

  test('is reported by a message that says "not found"', async () => {
    for (const call of [
      () => keys.getDeviceKeyPublic(missing),
      () => keys.signDeviceKey(missing, enrollmentBytes),
    ]) {
      const { code, message } = await rejection(call);
      expect([code, message]).toEqual(['key_not_found', expect.stringContaining('not found')]);
    }
  });

  test('is nevertheless an error of the store', async () => {
    const store = DeviceKeyStore.open(options);
    expect(await codeOf(() => store.delete({ keyId: missing }))).toBe('key_not_found');
    await store.close();
  });
});

describe('results have only the members that the apps know:', () => {
  test('createDeviceKey and getDeviceKeyPublic', async () => {
    const created = await keys.createDeviceKey();
    const expected = {
      keyId: expect.stringMatching(/^dk_tpm_[-\w]{43}$/) as string,
      publicKeySpkiDerBase64: expect.stringMatching(/^[+/\w]{122}==$/) as string,
      algorithm: 'ecdsa_p256_sha256',
      protectionClass: 'hardware_tpm',
    };
    expect(created).toStrictEqual(expected);
    expect(await keys.getDeviceKeyPublic(created.keyId)).toStrictEqual(expected);
  });

  test('signDeviceKey', async () => {
    expect(await keys.signDeviceKey(await newKey(), enrollmentBytes)).toStrictEqual({
      algorithm: 'ecdsa_p256_sha256',
      signatureDerBase64: expect.stringMatching(/^[+/\w]+={0,2}$/) as string,
    });
  });
});

describe('createDeviceKey', () => {
  test.each([undefined, null, 'hardware_only', 'allow_os_protected_nonextractable'] as const)(
    'accepts the policy %s, and uses hardware if there is any',
    async (policy) => {
      expect((await keys.createDeviceKey(policy)).protectionClass).toBe('hardware_tpm');
    },
  );

  test.each(['software', '', 'HARDWARE_ONLY', 7, false, {}, []])(
    'refuses the policy %j',
    async (policy) => {
      const error = await rejection(() => keys.createDeviceKey(policy as 'hardware_only'));
      expect(error.code).toBe('invalid_params');
      expect(error.message).toContain('protectionPolicy');
    },
  );

  test('does not treat a simulator as hardware by default', async () => {
    const strict = openRemoteControl({ ...options, allowSimulator: false });
    expect(await codeOf(() => strict.createDeviceKey())).toBe('hardware_unavailable');
    await strict.close();
  });
});

describe('the bytes may come as', () => {
  let keyId: string;
  let spki: string;
  beforeAll(async () => {
    keyId = await enrolledKey();
    spki = (await keys.getDeviceKeyPublic(keyId)).publicKeySpkiDerBase64;
  });

  /** The bytes in the middle of a larger buffer. */
  function inTheMiddle(): { buffer: ArrayBuffer; offset: number; length: number } {
    const around = new Uint8Array(connectionBytes.length + 20).fill(0x20);
    around.set(connectionBytes, 7);
    return { buffer: around.buffer, offset: 7, length: connectionBytes.length };
  }

  function shared(): Uint8Array<SharedArrayBuffer> {
    const view = new Uint8Array(new SharedArrayBuffer(connectionBytes.length));
    view.set(connectionBytes);
    return view;
  }

  const elsewhere = (expression: string): unknown =>
    vm.runInNewContext(expression, { bytes: [...connectionBytes] });

  const exact = (): ArrayBuffer => Uint8Array.from(connectionBytes).buffer;

  test.each<[string, () => unknown]>([
    ['a Buffer', () => Buffer.from(exact())],
    ['a Buffer of the pool', () => Buffer.from(connectionBytes)],
    ['a Uint8Array', () => Uint8Array.from(connectionBytes)],
    ['an ArrayBuffer', exact],
    [
      'a view into a larger buffer',
      () => {
        const { buffer, offset, length } = inTheMiddle();
        return new Uint8Array(buffer, offset, length);
      },
    ],
    [
      'a DataView',
      () => {
        const { buffer, offset, length } = inTheMiddle();
        return new DataView(buffer, offset, length);
      },
    ],
    ['a view of shared memory', shared],
    ['a Uint8Array of another realm', () => elsewhere('Uint8Array.from(bytes)')],
    ['an ArrayBuffer of another realm', () => elsewhere('Uint8Array.from(bytes).buffer')],
  ])('%s', async (_, make) => {
    const { signatureDerBase64 } = await keys.signDeviceKey(keyId, make() as Uint8Array);
    expect(isSigned(spki, connectionBytes, signatureDerBase64)).toBe(true);
  });

  test('a view that is overwritten as soon as the call is made', async () => {
    const bytes = Uint8Array.from(connectionBytes);
    const signing = keys.signDeviceKey(keyId, bytes);
    bytes.fill(0);
    expect(isSigned(spki, connectionBytes, (await signing).signatureDerBase64)).toBe(true);
  });

  test.each<[string, () => unknown]>([
    ['a string', () => connectionBytes.toString()],
    ['a string of base64', () => connectionBytes.toString('base64')],
    ['a number', () => connectionBytes.length],
    ['an array of numbers', () => [...connectionBytes]],
    ['nothing', () => undefined],
    ['null', () => null],
    ['the payload itself', () => connection],
    ['what a Buffer becomes in JSON', () => connectionBytes.toJSON()],
    ['what only says that it is a buffer', () => ({ [Symbol.toStringTag]: 'ArrayBuffer' })],
    ['a SharedArrayBuffer', () => shared().buffer],
    [
      'a transferred buffer',
      () => {
        const buffer = exact();
        structuredClone(buffer, { transfer: [buffer] });
        return buffer;
      },
    ],
    [
      'a view of a transferred buffer',
      () => {
        const view = new Uint8Array(exact());
        structuredClone(view.buffer, { transfer: [view.buffer] });
        return view;
      },
    ],
  ])('not %s', async (_, make) => {
    const error = await rejection(() => keys.signDeviceKey(keyId, make() as Uint8Array));
    expect([error.code, error.message]).toEqual([
      'invalid_params',
      expect.stringMatching(/^bytes: expected/),
    ]);
  });
});

describe('signDeviceKey accepts ids and texts', () => {
  test.each([
    ['in other scripts', 'Zoë 李 😀 \u2028'],
    ['with everything that JSON escapes', '"\\/\b\f\n\r\t\u0001\u001f\u007f'],
  ])('%s', async (_, text) => {
    const keyId = await newKey();
    const own = { accountUserId: text, clientId: text };
    await keys.signDeviceKey(keyId, bytesOf({ ...enrollment, ...own, challengeId: text }));
    const { signatureDerBase64 } = await keys.signDeviceKey(
      keyId,
      bytesOf({ ...connection, ...own, sessionId: text }),
    );
    expect(signatureDerBase64).toBeTruthy();
  });
});

describe('signDeviceKey refuses, as invalid_payload,', () => {
  let keyId: string;
  beforeAll(async () => {
    keyId = await enrolledKey();
  });

  const canonical = connectionBytes.toString();
  const changed = (from: string, to: string): string => {
    expect(canonical).toContain(from);
    return canonical.replace(from, to);
  };

  test.each<[string, () => string | Buffer]>([
    ['nothing', () => ''],
    ['six arbitrary bytes', () => Buffer.from([0, 1, 2, 0xfd, 0xfe, 0xff])],
    ['a digest', () => createHash('sha256').update('anything').digest()],
    [
      'members of the payload in another order',
      () =>
        JSON.stringify({
          domain: 'codex-device-key-sign-payload/v1',
          payload: connection,
        }),
    ],
    [
      'the payload before the domain',
      () => {
        const { domain, payload } = JSON.parse(canonical) as { domain: string; payload: object };
        return JSON.stringify({ payload, domain });
      },
    ],
    ['white space at the end', () => `${canonical}\n`],
    ['white space within', () => changed(',"payload"', ', "payload"')],
    ['another domain', () => changed('sign-payload/v1', 'sign-payload/v2')],
    [
      'a payload without a domain',
      () => JSON.stringify((JSON.parse(canonical) as { payload: object }).payload),
    ],
    ['a member that the type does not have', () => canonicalText({ ...connection, zone: 'eu' })],
    ['a member beside the payload', () => changed('{"domain"', '{"also":1,"domain"')],
    ['a member given twice', () => changed('"clientId"', '"clientId":"cli_42","clientId"')],
    ['an escape that is not needed', () => changed('wssess', '\\u0077ssess')],
    ['an escaped slash', () => changed('chatgpt.com', 'chatgpt.com\\/')],
    ['a byte order mark', () => `\ufeff${canonical}`],
    ['UTF-16', () => Buffer.from(canonical, 'utf16le')],
    [
      'an expiry with a fraction',
      () => changed(String(connection.tokenExpiresAt), `${connection.tokenExpiresAt}.0`),
    ],
    ['a lone surrogate', () => canonicalText({ ...connection, sessionId: '\ud800' })],
    ['another type', () => canonicalText({ ...connection, type: 'somethingElse' })],
    [
      'the audience of the other type',
      () => canonicalText({ ...connection, audience: enrollment.audience }),
    ],
    ['a missing member', () => canonicalText({ ...connection, scopes: undefined })],
    ['a short nonce', () => canonicalText({ ...connection, nonce: 'AAAA' })],
    ['other scopes', () => canonicalText({ ...connection, scopes: ['admin'] })],
    ['an id with a NUL', () => canonicalText({ ...connection, accountUserId: 'a\0b' })],
    ['an empty id', () => canonicalText({ ...connection, clientId: '' })],
    ['another origin', () => canonicalText({ ...connection, targetOrigin: 'https://example.com' })],
    [
      'an expiry that has passed',
      () => canonicalText({ ...connection, tokenExpiresAt: inSeconds(-1) }),
    ],
    [
      'an expiry too far ahead',
      () => canonicalText({ ...connection, tokenExpiresAt: inSeconds(1000) }),
    ],
  ])('%s', async (_, make) => {
    const error = await rejection(() => keys.signDeviceKey(keyId, Buffer.from(make())));
    expect(error.code).toBe('invalid_payload');
    expect(error.message).not.toContain('cli_42');
  });
});

describe('the first enrollment', () => {
  test('is required before a connection', async () => {
    const keyId = await newKey();
    expect(await codeOf(() => keys.signDeviceKey(keyId, connectionBytes))).toBe('binding_mismatch');
    await keys.signDeviceKey(keyId, enrollmentBytes);
    await expect(keys.signDeviceKey(keyId, connectionBytes)).resolves.toBeDefined();
  });

  test.each([
    ['account', { accountUserId: 'user-other' }],
    ['client', { clientId: 'cli_other' }],
  ])('sets the %s permanently', async (_, other) => {
    const keyId = await enrolledKey();
    for (const payload of [enrollment, connection]) {
      const bytes = bytesOf({ ...payload, ...other });
      expect(await codeOf(() => keys.signDeviceKey(keyId, bytes))).toBe('binding_mismatch');
    }
    await expect(keys.signDeviceKey(keyId, enrollmentBytes)).resolves.toBeDefined();
  });

  test('sets nothing if it is refused', async () => {
    const keyId = await newKey();
    const refused = bytesOf({ ...enrollment, accountUserId: 'user-other', nonce: 'AAAA' });
    expect(await codeOf(() => keys.signDeviceKey(keyId, refused))).toBe('invalid_payload');
    await expect(keys.signDeviceKey(keyId, enrollmentBytes)).resolves.toBeDefined();
  });

  test('binds the key to one of two concurrent accounts', async () => {
    const keyId = await newKey();
    const other = openRemoteControl(options);
    const outcomes = await Promise.allSettled([
      keys.signDeviceKey(keyId, enrollmentBytes),
      other.signDeviceKey(keyId, bytesOf({ ...enrollment, accountUserId: 'user-other' })),
    ]);
    await other.close();
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    const [lost] = outcomes.filter((outcome) => outcome.status === 'rejected');
    expect((lost?.reason as DeviceKeyError).code).toBe('binding_mismatch');
  });

  test('is seen by a store that loaded the key before', async () => {
    const keyId = await newKey();
    const other = openRemoteControl(options);
    await other.signDeviceKey(keyId, enrollmentBytes);
    await other.close();
    await expect(keys.signDeviceKey(keyId, connectionBytes)).resolves.toBeDefined();
  });

  test('is shown by the store', async () => {
    const unbound = await newKey();
    const bound = await enrolledKey();
    const store = DeviceKeyStore.open(options);
    const listed = await store.list();
    await store.close();
    expect(listed).toContainEqual(
      expect.objectContaining({ keyId: unbound, accountUserId: null, clientId: null }),
    );
    expect(listed).toContainEqual(
      expect.objectContaining({ keyId: bound, accountUserId: 'user-7f3a', clientId: 'cli_42' }),
    );
  });

  // A limit that docs/remote-control.md states.
  test('is lost if an older copy of the record is restored', async () => {
    const keyId = await newKey();
    const record = path.join(directory, `${keyId}.json`);
    await copyFile(record, `${record}.copy`);
    await keys.signDeviceKey(keyId, enrollmentBytes);
    await copyFile(`${record}.copy`, record);

    const other = bytesOf({ ...enrollment, accountUserId: 'user-other' });
    await expect(keys.signDeviceKey(keyId, other)).resolves.toBeDefined();
  });
});

describe('target paths', () => {
  const clients = [
    '/api/codex/remote/control/client',
    '/wham/remote/control/client',
    '/backend-api/codex/remote/control/client',
    '/backend-api/wham/remote/control/client',
  ];
  const enrollmentPaths = clients.flatMap((client) =>
    ['enroll', 'enroll/finish', 'refresh/finish'].map((end) => `${client}/${end}`),
  );
  let keyId: string;
  beforeAll(async () => {
    keyId = await enrolledKey();
  });
  const connectTo = (targetPath: string) =>
    keys.signDeviceKey(keyId, bytesOf({ ...connection, targetPath }));
  const enrollAt = (targetPath: string) =>
    keys.signDeviceKey(keyId, bytesOf({ ...enrollment, targetPath }));

  test('are those of remoteControlTargets', () => {
    expect(remoteControlTargets).toStrictEqual({
      connectionPaths: clients,
      enrollmentPaths: expect.arrayContaining(enrollmentPaths) as string[],
    });
    expect(remoteControlTargets.enrollmentPaths).toHaveLength(enrollmentPaths.length);
  });

  test.each(clients)('of connections have %s', async (targetPath) => {
    await expect(connectTo(targetPath)).resolves.toBeDefined();
    expect(await codeOf(() => enrollAt(targetPath))).toBe('invalid_payload');
  });

  test.each(enrollmentPaths)('of enrollments have %s', async (targetPath) => {
    await expect(enrollAt(targetPath)).resolves.toBeDefined();
    expect(await codeOf(() => connectTo(targetPath))).toBe('invalid_payload');
  });

  test.each([
    'https://chatgpt.com/backend-api',
    'http://localhost:8000/api',
    'http://127.0.0.1:3847/api',
  ])('include what an app appends to its base %s', async (base) => {
    for (const step of ['enroll', 'enroll/finish', 'refresh/finish']) {
      const { origin, pathname } = new URL(`${base}/codex/remote/control/client/${step}`);
      const bytes = bytesOf({ ...enrollment, targetOrigin: origin, targetPath: pathname });
      await expect(keys.signDeviceKey(keyId, bytes)).resolves.toBeDefined();
    }
  });

  test.each([
    '',
    '/',
    '/wham/remote/control/client/',
    '/WHAM/remote/control/client',
    '/wham/remote/control/client?x=1',
    '/backend-api/wham/remote/control/client/refresh',
    '/backend-api/../wham/remote/control/client',
  ])('do not have %j', async (targetPath) => {
    expect(await codeOf(() => connectTo(targetPath))).toBe('invalid_payload');
    expect(await codeOf(() => enrollAt(targetPath))).toBe('invalid_payload');
  });
});

describe('a target policy of the app', () => {
  const opened: RemoteControlDeviceKeys[] = [];
  function open(targets: DeviceKeyStoreOptions['targets']): RemoteControlDeviceKeys {
    opened.push(openRemoteControl({ ...options, targets } as DeviceKeyStoreOptions));
    return opened.at(-1)!;
  }
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((own) => own.close()));
  });

  test('replaces hosts and paths', async () => {
    const own = open({
      httpsHosts: ['rc.example.com'],
      allowLoopback: false,
      connectionPaths: ['/connect'],
      enrollmentPaths: ['/enroll'],
    });
    const keyId = await enrolledKey();
    const origin = { targetOrigin: 'https://rc.example.com' };
    await own.signDeviceKey(keyId, bytesOf({ ...enrollment, ...origin, targetPath: '/enroll' }));
    await own.signDeviceKey(keyId, bytesOf({ ...connection, ...origin, targetPath: '/connect' }));
    for (const bytes of [
      connectionBytes,
      bytesOf({ ...connection, targetPath: '/connect' }),
      bytesOf({ ...connection, ...origin }),
      bytesOf({ ...connection, targetOrigin: 'http://localhost', targetPath: '/connect' }),
    ]) {
      expect(await codeOf(() => own.signDeviceKey(keyId, bytes))).toBe('invalid_payload');
    }
  });

  test('sets the maximum lifetime, and can keep the apps’ paths', async () => {
    const day = 86_400;
    const own = open({ ...remoteControlTargets, maxLifetimeSeconds: day });
    const keyId = await enrolledKey();
    const expiring = (seconds: number) =>
      bytesOf({
        ...connection,
        targetPath: '/backend-api/wham/remote/control/client',
        tokenExpiresAt: inSeconds(seconds),
      });
    await expect(own.signDeviceKey(keyId, expiring(day - 60))).resolves.toBeDefined();
    expect(await codeOf(() => own.signDeviceKey(keyId, expiring(day + 60)))).toBe(
      'invalid_payload',
    );
    expect(await codeOf(() => keys.signDeviceKey(keyId, expiring(day - 60)))).toBe(
      'invalid_payload',
    );
  });

  test('that is undefined is absent', async () => {
    const own = open(undefined);
    const targetPath = '/backend-api/codex/remote/control/client/enroll';
    await expect(
      own.signDeviceKey(await newKey(), bytesOf({ ...enrollment, targetPath })),
    ).resolves.toBeDefined();
  });
});

describe('key ids', () => {
  test.each<[string, unknown]>([
    ['undefined', undefined],
    ['null', null],
    ['7', 7],
    ['7n', 7n],
    ['{}', {}],
    ['nothing', ''],
    ['dk_tpm_short', 'dk_tpm_short'],
    ['a path', `../${'a'.repeat(47)}`],
  ])('like %s are refused with a rejection', async (_, keyId) => {
    const id = keyId as string;
    expect(await codeOf(() => keys.getDeviceKeyPublic(id))).toBe('invalid_params');
    expect(await codeOf(() => keys.signDeviceKey(id, enrollmentBytes))).toBe('invalid_params');
    expect(await codeOf(() => keys.deleteDeviceKey(id))).toBe('invalid_params');
  });
});

test('a closed store refuses with a rejection', async () => {
  const own = openRemoteControl(options);
  const { keyId } = await own.createDeviceKey();
  await own.close();
  expect(await codeOf(() => own.createDeviceKey())).toBe('closed');
  expect(await codeOf(() => own.getDeviceKeyPublic(keyId))).toBe('closed');
  expect(await codeOf(() => own.signDeviceKey(keyId, enrollmentBytes))).toBe('closed');
  expect(await codeOf(() => own.deleteDeviceKey(keyId))).toBe('closed');
  await expect(own.close()).resolves.toBeUndefined();
});

describe('the module’s own functions', () => {
  let own: SoftwareTpm;
  let home: string;
  beforeAll(async () => {
    own = await SoftwareTpm.start();
    home = await mkdtemp(path.join(tmpdir(), 'dk-remote-home-'));
  });
  afterAll(async () => {
    await own.stop();
    await rm(home, { recursive: true });
  });

  /** The JSON output of `script`, the body of an async function, in a new process. */
  async function run(script: string, environment: Record<string, string>): Promise<unknown> {
    const program = `const keys = require('node-device-key/remote-control');
      const bytes = JSON.parse(process.env.BYTES).map((base64) => Buffer.from(base64, 'base64'));
      const codeOf = (promise) => promise.then(() => 'nothing', (error) => error.code);
      (async () => { ${script} })().then((result) => console.log(JSON.stringify(result)));`;
    const { stdout } = await promisify(execFile)(process.execPath, ['-e', program], {
      cwd: root,
      env: {
        ...process.env,
        BYTES: JSON.stringify([enrollmentBytes, connectionBytes].map((b) => b.toString('base64'))),
        DEVICE_KEY_HOME: home,
        DEVICE_KEY_TCTI: own.tcti,
        DEVICE_KEY_ALLOW_SIMULATOR: '1',
        ...environment,
      },
    });
    return JSON.parse(stdout);
  }

  test('use the store that the environment names', async () => {
    const result = await run(
      `const { keyId, publicKeySpkiDerBase64 } = await keys.createDeviceKey();
       const spki = (await keys.getDeviceKeyPublic(keyId)).publicKeySpkiDerBase64;
       const signatures = [];
       for (const each of bytes) signatures.push(await keys.signDeviceKey(keyId, each));
       await keys.createDeviceKey('hardware_only');
       await keys.deleteDeviceKey(keyId);
       return { publicKeySpkiDerBase64, spki, signatures };`,
      {},
    );
    const { publicKeySpkiDerBase64, spki, signatures } = result as {
      publicKeySpkiDerBase64: string;
      spki: string;
      signatures: { signatureDerBase64: string }[];
    };
    expect(spki).toBe(publicKeySpkiDerBase64);
    expect(isSigned(spki, enrollmentBytes, signatures[0]!.signatureDerBase64)).toBe(true);
    expect(isSigned(spki, connectionBytes, signatures[1]!.signatureDerBase64)).toBe(true);
    expect(await readdir(home)).toHaveLength(1); // the key that was not deleted
  });

  test('reject and never throw, even if no store can be opened', async () => {
    const codes = await run(
      `const id = 'dk_tpm_' + 'A'.repeat(43);
       return Promise.all([
         keys.createDeviceKey(), keys.getDeviceKeyPublic(id), keys.signDeviceKey(id, bytes[0]),
         keys.deleteDeviceKey(id),
       ].map(codeOf));`,
      { DEVICE_KEY_TCTI: ':x' },
    );
    expect(codes).toEqual(Array(4).fill('invalid_params'));
  });

  const functionNames = [
    'createDeviceKey',
    'deleteDeviceKey',
    'getDeviceKeyPublic',
    'signDeviceKey',
  ];

  test('are all that node-device-key/remote-control/module exports', async () => {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [
        '-e',
        `console.log(Object.keys(require('node-device-key/remote-control/module')).sort().join())`,
      ],
      { cwd: root },
    );
    expect(stdout.trim().split(',')).toEqual(functionNames);
  });

  test('are loaded as ./remote-control-device-key.node from a directory of that name', async () => {
    const app = await mkdtemp(path.join(tmpdir(), 'dk-app-'));
    const module = path.join(app, 'remote-control-device-key.node');
    await mkdir(module);
    await writeFile(
      path.join(module, 'index.js'),
      `module.exports = require(${JSON.stringify(path.join(root, 'dist/remote-control/module'))});`,
    );
    await writeFile(
      path.join(app, 'main.js'),
      `console.log(Object.keys(require('./remote-control-device-key.node')).sort().join());`,
    );
    const { stdout } = await promisify(execFile)(process.execPath, [path.join(app, 'main.js')]);
    await rm(app, { recursive: true });
    expect(stdout.trim().split(',')).toEqual(functionNames);
  });

  test('can be imported as well', async () => {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [
        '--input-type=module',
        '-e',
        `import * as keys from 'node-device-key/remote-control'; console.log(Object.keys(keys).join())`,
      ],
      { cwd: root },
    );
    expect(stdout.trim().split(',')).toEqual(
      expect.arrayContaining([
        'createDeviceKey',
        'deleteDeviceKey',
        'getDeviceKeyPublic',
        'openRemoteControl',
        'remoteControlTargets',
        'signDeviceKey',
      ]),
    );
  });
});
