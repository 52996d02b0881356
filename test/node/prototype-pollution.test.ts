// Members that an embedding program has added to Object.prototype have no effect as option,
// expectation or param.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import fc from 'fast-check';

import {
  createDeviceKeyRequestHandler,
  serveStdio,
  type DeviceKeyTransport,
} from '../../dist/app-server.js';
import { atprotoDpopKey, dpopFetch, mcpDpopSession } from '../../dist/dpop.js';
import {
  DeviceKeyError,
  DeviceKeyStore,
  type DeviceKeySignPayload,
  type DeviceKeySignResponse,
} from '../../dist/index.js';
import { openRemoteControl, remoteControlTargets } from '../../dist/remote-control.js';
import { createInMemoryDeviceKeyStore } from '../../dist/testing.js';
import {
  InMemoryAttestationStateStore,
  DpopServerNonces,
  InMemoryNonceStore,
  makeTpmCredential,
  SqliteKeyRegistry,
  TpmAttestationExchange,
  verifyDeviceKeyProof,
  verifyDeviceKeySignature,
  verifyDpopProof,
  verifyTpmKeyAttestation,
  type SqliteDatabase,
} from '../../dist/verify.js';
import { binding, connectionPayload, enrollmentPayload, secondsAhead } from '../support/payloads';
import { SoftwareKeys } from '../support/software-attestation';
import { canonicalText, SoftwareSigner } from '../support/software-signer';
import { stubStore } from '../support/stub-store';
import { DpopSoftwareKey } from '../support/dpop-proofs';

const signer = new SoftwareSigner();
const { publicKeySpkiDerBase64 } = signer;
const unknownKey = `dk_tpm_${Buffer.alloc(32).toString('base64url')}`;
const evilPayload = connectionPayload({ targetOrigin: 'https://evil.test' });
// Made before the pollution: the caller makes the bytes, not this package.
const evilBytes = Buffer.from(canonicalText(evilPayload));
const goodBytes = Buffer.from(canonicalText(connectionPayload()));
const proofs = new Map<DeviceKeySignPayload, DeviceKeySignResponse>();
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'dk-pollution-'));
});
afterAll(() => rm(directory, { recursive: true }));

/** The result of a call, without the parts that differ between calls. */
async function ending(call: () => unknown): Promise<unknown> {
  try {
    await call();
    return 'done';
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}

async function endings(calls: (() => unknown)[]): Promise<unknown[]> {
  const results: unknown[] = [];
  for (const call of calls) results.push(await ending(call));
  return results;
}

interface Entry {
  /** Every name that a caller can use in an object for this entry's exports. */
  names: string[];
  observe: () => Promise<unknown>;
}

const storeOptions = [
  ...['directory', 'tcti', 'allowSimulator', 'environment', 'pkcs11', 'userPresence', 'targets'],
  ...['timeoutMs', 'queueLimit', 'module', 'token', 'pin', 'pinFile', 'allowFinalTry'],
  ...['reuseSeconds', 'httpsHosts', 'allowLoopback', 'connectionPaths', 'enrollmentPaths'],
  ...['maxLifetimeSeconds', 'signal', 'toJSON'],
];
const params = [
  ...['accountUserId', 'clientId', 'protectionPolicy', 'keyId', 'payload'],
  ...['challenge', 'credentialBlob', 'encryptedSecret'],
  ...['origins', 'htm', 'htu', 'nonce', 'accessToken', 'accessTokenSha256Base64url'],
  'authorizationCode',
];
const dpopRequest = { htm: 'POST', htu: 'https://as.test/token' };
const payloadMembers = Object.keys({ ...connectionPayload(), ...enrollmentPayload() });

const main: Entry = {
  names: [...storeOptions, ...params, ...payloadMembers, 'platformStatus', 'cause'],
  async observe() {
    const store = DeviceKeyStore.open({ directory });
    const results = await endings([
      () => store.list(),
      () => store.create({ ...binding, accountUserId: '' }),
      () => store.create({ clientId: 'client' } as never),
      () => store.public({} as never),
      () => store.public({ keyId: unknownKey }),
      () => store.sign({ keyId: unknownKey, payload: connectionPayload() }, {}),
      () => store.sign({ keyId: unknownKey, payload: evilPayload }, {}),
      () => store.sign({ keyId: unknownKey, payload: {} as never }),
      () => store.delete({ keyId: unknownKey }),
      () => store.createDpopKey({ clientId: 'client' } as never),
      () => store.createDpopKey({ origins: ['https://as.test'] } as never),
      () => store.signDpop({ keyId: unknownKey, ...dpopRequest }, {}),
      () => store.signDpop({ keyId: unknownKey } as never),
      () => store.attest({ keyId: unknownKey } as never),
      () => store.attest({ keyId: unknownKey, challenge }),
      () => store.activateAttestation({ keyId: unknownKey } as never),
    ]);
    await store.close();
    return results;
  },
};

const remoteControl: Entry = {
  names: [...storeOptions, ...params],
  async observe() {
    const keys = openRemoteControl({ directory });
    const results = await endings([
      () => keys.signDeviceKey(unknownKey, goodBytes),
      () => keys.signDeviceKey(unknownKey, evilBytes),
      () => keys.createDeviceKey('none' as never),
      () => keys.getDeviceKeyPublic(undefined as never),
    ]);
    await keys.close();
    return results;
  },
};

const appServer: Entry = {
  names: [
    ...['store', 'transport', 'allowRemoteTransport', 'onUnexpectedError', 'signal', 'toJSON'],
    ...['id', 'method', 'params', 'jsonrpc', 'input', 'output', 'server', 'maxRequestsInFlight'],
    ...['name', 'version', 'clientInfo', 'code', 'platformStatus'],
  ],
  async observe() {
    const store = stubStore({
      list: () => Promise.resolve([]),
      public: () => Promise.reject(new Error('a secret')),
      create: (given, options) =>
        Promise.reject(
          new DeviceKeyError('invalid_params', `${typeof given} ${typeof options?.signal}`),
        ),
    });
    const onUnexpectedError = () => undefined;
    const messages = [
      ...[{}, { id: 1 }, { method: 'device/key/list' }, { id: 1, method: 'device/key/list' }],
      ...[
        { id: 1, method: 'device/key/public' },
        { id: 1, method: 'device/key/create' },
      ],
    ];
    const answers: unknown[] = [];
    for (const transport of ['stdio', 'websocket', 'remote'] as DeviceKeyTransport[]) {
      const handle = createDeviceKeyRequestHandler({ store, transport, onUnexpectedError });
      for (const message of messages) answers.push(await handle(message, {}));
    }
    answers.push(await ending(() => createDeviceKeyRequestHandler({ store } as never)));
    answers.push(
      await ending(() => createDeviceKeyRequestHandler({ transport: 'stdio' } as never)),
    );

    const [input, output] = [new PassThrough(), new PassThrough()];
    input.end(
      ['{"id":0,"method":"initialize"}', '{"id":1,"method":"device/key/list"}', '{"id":2}', '{}']
        .map((line) => `${line}\n`)
        .join(''),
    );
    await serveStdio({ store, input, output, onUnexpectedError });
    output.end();
    return [answers.map((answer) => structuredClone(answer)), await text(output)];
  },
};

const oldPayload = connectionPayload({ tokenExpiresAt: secondsAhead(-3600) });
const lastingPayload = connectionPayload({ tokenExpiresAt: secondsAhead(86_400) });
const freshPayload = connectionPayload();
const freshEnrollment = enrollmentPayload();

for (const payload of [oldPayload, lastingPayload, freshPayload, freshEnrollment]) {
  proofs.set(payload, signer.signPayload(payload));
}

const challenge = Buffer.alloc(32, 7).toString('base64url');
const softwareKeys = new SoftwareKeys();
const attestedKey = softwareKeys.publicKeySpkiDerBase64;
const attestation = softwareKeys.attest(challenge);
const [endorsementKey] = attestation.endorsementKeys;

const verify: Entry = {
  names: [
    ...['challenge', 'roots', 'intermediates', 'states', 'trust', 'lifetimeSeconds'],
    ...['endorsementKeyPublicArea', 'objectName', 'secret', 'oaepLabel', 'oaepHash'],
    ...Object.keys(attestation),
    ...['publicArea', 'certificate', 'key', 'format', 'type', 'kty', 'crv', 'x', 'y', 'n', 'e'],
    ...['nonces', 'now', 'clockSkewSeconds', 'maxLifetimeSeconds', 'capacity', 'toJSON'],
    ...['publicKeySpkiDerBase64', 'signedPayloadBase64', 'signatureDerBase64', 'algorithm'],
    ...['dsaEncoding', 'padding', 'saltLength', 'passphrase', 'encoding'],
    ...['key', 'keyId', 'protectionClass', 'attestation', 'challengeId', 'onDecision'],
    ...['htm', 'htu', 'accessToken', 'jkt', 'clockWindowSeconds', 'jti', 'iat', 'ath', 'exp'],
    ...['nbf', 'typ', 'alg', 'jwk', 'd'],
    ...payloadMembers,
  ],
  async observe() {
    const { publicKeySpkiDerBase64 } = signer;
    const verifyProof = (payload: DeviceKeySignPayload, without: string[] = []) => {
      const expected = Object.fromEntries(
        Object.entries({ publicKeySpkiDerBase64, ...payload }).filter(
          ([name]) => !without.includes(name),
        ),
      );
      return verifyDeviceKeyProof(proofs.get(payload)!, expected as never, {
        nonces: new InMemoryNonceStore({}),
      });
    };
    const written: unknown[] = [];
    const statement = {
      run: () => ({ changes: 0 }),
      all: (...values: unknown[]) => {
        written.push(values.filter((value) => typeof value !== 'number')); // except the time
        return [];
      },
    };
    const database: SqliteDatabase = { exec: () => undefined, prepare: () => statement };
    const registry = new SqliteKeyRegistry(database, {});
    const key = {
      keyId: unknownKey,
      publicKeySpkiDerBase64,
      algorithm: 'ecdsa_p256_sha256',
      protectionClass: 'hardware_tpm',
    } as const;
    const ended = await endings([
      () => registry.enroll({ ...binding, key }),
      () => registry.enroll({ ...binding, key: {} as never }),
      () => registry.enroll({ ...binding } as never),
      () => registry.enroll({ key } as never),
      () => registry.inForce({} as never),
      () => registry.rotate({ ...binding, key }, {} as never, {} as never, {} as never),
      () => verifyProof(freshPayload),
      () => verifyProof(freshPayload, ['tokenExpiresAt']),
      () => verifyProof(freshPayload, ['nonce']),
      () => verifyProof(freshPayload, ['type']),
      () => verifyProof(freshEnrollment),
      () => verifyProof(oldPayload),
      () => verifyProof(lastingPayload),
      () => verifyDeviceKeyProof(proofs.get(freshPayload)!, {} as never, {} as never),
      () =>
        verifyDeviceKeyProof(
          {} as never,
          { publicKeySpkiDerBase64, ...freshPayload },
          {
            nonces: new InMemoryNonceStore(),
          },
        ),
      () =>
        verifyDeviceKeyProof(
          proofs.get(freshPayload)!,
          { publicKeySpkiDerBase64, ...freshPayload },
          {} as never,
        ),
      () => verifyDeviceKeySignature({} as never),
      ...attestationCalls(),
      ...dpopCalls(),
    ]);
    return [ended, written];
  },
};

function attestationCalls(): (() => unknown)[] {
  const expected = { challenge, publicKeySpkiDerBase64: attestedKey };
  const now = new Date();
  const states = new InMemoryAttestationStateStore({});
  const exchangeWith = (options: object) => new TpmAttestationExchange(options as never);
  const checked = (...[given, of, trust]: unknown[]) =>
    verifyTpmKeyAttestation(given as never, of as never, trust as never, now);
  return [
    () => checked(attestation, expected, null),
    () => checked(attestation, {}, null),
    () => checked(attestation, { challenge }, null),
    () => checked(attestation, { publicKeySpkiDerBase64: attestedKey }, null),
    () => checked({}, expected, null),
    () => checked({ ...attestation, endorsementKeys: [{}] }, expected, null),
    () => checked(attestation, expected, {}),
    () => makeTpmCredential({} as never),
    () =>
      makeTpmCredential({
        endorsementKeyPublicArea: Buffer.from(endorsementKey!.publicArea, 'base64'),
        objectName: Buffer.alloc(34),
        secret: Buffer.alloc(32),
      }),
    () => exchangeWith({}),
    () => exchangeWith({ states }),
    () => exchangeWith({ states, trust: {} }),
    () => exchangeWith({ states, trust: null }).challenge({} as never),
    async () => {
      const exchange = exchangeWith({ states, trust: null });
      const begun = await exchange.challenge({ publicKeySpkiDerBase64: attestedKey });
      return exchange.makeCredential(begun.attestationId, softwareKeys.attest(begun.challenge));
    },
    async () => {
      const exchange = exchangeWith({ states, trust: null });
      const begun = await exchange.challenge({ publicKeySpkiDerBase64: attestedKey });
      return exchange.complete(begun.attestationId, '');
    },
  ];
}

const dpopNow = Math.floor(Date.now() / 1000);
const dpopSigner = new DpopSoftwareKey();
const goodDpopProof = dpopSigner.proof({ ...dpopRequest, jti: 'jti', iat: dpopNow });
const oldDpopProof = dpopSigner.proof({ ...dpopRequest, jti: 'jti', iat: dpopNow - 3600 });
const claimlessDpopProof = dpopSigner.proof({});
const headerlessDpopProof = dpopSigner.proof(dpopRequest, {});
const dpopNonces = new DpopServerNonces(Buffer.alloc(32), {});

function dpopCalls(): (() => unknown)[] {
  const options = () => ({ nonces: new InMemoryNonceStore({}) });
  return [
    () => verifyDpopProof(goodDpopProof, dpopRequest, options()),
    () => verifyDpopProof(oldDpopProof, dpopRequest, options()),
    () => verifyDpopProof(claimlessDpopProof, dpopRequest, options()),
    () => verifyDpopProof(headerlessDpopProof, dpopRequest, options()),
    () => verifyDpopProof(goodDpopProof, { ...dpopRequest, nonce: dpopNonces }, options()),
    () => verifyDpopProof(goodDpopProof, {} as never, options()),
    () => verifyDpopProof(goodDpopProof, dpopRequest, {} as never),
  ];
}

const dpop: Entry = {
  names: ['fetch', 'nonce', 'ath', 'accessToken', 'keyId', 'typ', 'alg', 'toJSON'],
  async observe() {
    const signed: unknown[] = [];
    const signer = {
      public: () => Promise.resolve({ publicKeySpkiDerBase64 } as never),
      signDpop: (given: object) => {
        signed.push({ ...given });
        return Promise.resolve({ proof: 'proof' });
      },
    };
    const send = () => Promise.resolve(new Response(null, { status: 204 }));
    const fetchWithProof = dpopFetch(signer, 'key', { fetch: send });
    const key = await atprotoDpopKey(signer, 'key');
    const session = await mcpDpopSession(signer, 'key');
    const results = await endings([
      () => fetchWithProof('https://as.test/token', { method: 'POST' }),
      () => key.createJwt({}, {}),
      () => key.createJwt({ typ: 'dpop+jwt', alg: 'ES256' }, dpopRequest),
      () => session.buildProof(dpopRequest),
      // Sends nothing: there is no server at port 1.
      () => dpopFetch(signer, 'key', {})('http://127.0.0.1:1/'),
    ]);
    return [results, signed];
  },
};

const testing: Entry = {
  names: ['targets', 'protectionClass', ...storeOptions, ...params, ...payloadMembers],
  async observe() {
    const store = createInMemoryDeviceKeyStore({});
    const hardware = createInMemoryDeviceKeyStore({ protectionClass: 'hardware_tpm' });
    const { keyId } = await hardware.create(binding, {});
    const dpopKey = await hardware.createDpopKey({ clientId: 'c', origins: ['https://as.test'] });
    const results = await endings([
      () => store.create(binding, {}),
      () => hardware.create({ clientId: 'client' } as never),
      () => hardware.public({} as never),
      () => hardware.sign({ keyId, payload: connectionPayload() }, {}),
      () => hardware.sign({ keyId, payload: evilPayload }, {}),
      () => hardware.sign({ keyId, payload: {} as never }, {}),
      () => hardware.createDpopKey({ clientId: 'client' } as never),
      () => hardware.signDpop({ keyId: dpopKey.keyId, ...dpopRequest }, {}),
      () => hardware.signDpop({ keyId: dpopKey.keyId } as never),
    ]);
    await Promise.all([store.close(), hardware.close()]);
    return results;
  },
};

const prototype = Object.prototype as unknown as Record<string, unknown>;

async function withPolluted<T>(name: string, value: unknown, run: () => Promise<T>): Promise<T> {
  const before = Object.getOwnPropertyDescriptor(prototype, name);
  Object.defineProperty(prototype, name, {
    value,
    enumerable: true,
    configurable: true,
    writable: true,
  });
  try {
    return await run();
  } finally {
    if (before) Object.defineProperty(prototype, name, before);
    else Reflect.deleteProperty(prototype, name);
  }
}

/** Values that would weaken something if they were used as the option of that name. */
const tempting: Record<string, unknown[]> = {
  targets: [{ httpsHosts: ['evil.test'] }],
  httpsHosts: [['evil.test']],
  clockSkewSeconds: [100_000],
  maxLifetimeSeconds: [100_000],
  clockWindowSeconds: [100_000],
  now: [() => Date.now() / 1000 - 7200],
  signal: [AbortSignal.abort()],
  transport: ['stdio'],
  protectionClass: ['hardware_tpm'],
  pin: [() => '1234'],
  toJSON: [() => ({}), () => 'x'],
};
const anyValue = fc.oneof(
  fc.constantFrom<unknown>(true, 0, 1, 100_000, 'x', null, [], {}, () => true),
  fc.anything(),
);

describe.each(Object.entries({ main, remoteControl, appServer, verify, testing, dpop }))(
  'in the entry %s',
  (_, { names, observe }) => {
    let expected: unknown;
    beforeAll(async () => {
      expected = await observe();
    });

    test.each([...new Set(names)])('%s of Object.prototype changes nothing', async (name) => {
      for (const value of [...(tempting[name] ?? []), true, 'x', {}]) {
        expect(await withPolluted(name, value, observe)).toEqual(expected);
      }
    });

    test('no name with any value changes anything', async () => {
      await fc.assert(
        fc.asyncProperty(fc.constantFrom(...names), anyValue, async (name, value) => {
          expect(await withPolluted(name, value, observe)).toEqual(expected);
        }),
        { numRuns: 50 },
      );
    });
  },
);

describe('attacks with one polluted name:', () => {
  test('allowRemoteTransport does not open a websocket handler', async () => {
    const handle = await withPolluted('allowRemoteTransport', true, () =>
      Promise.resolve(
        createDeviceKeyRequestHandler({ store: stubStore(), transport: 'websocket' }),
      ),
    );
    expect(await handle({ id: 1, method: 'device/key/list' })).toMatchObject({
      error: { data: { code: 'remote_transport_refused' } },
    });
  });

  test('targets does not let the drop-in module sign for another host', async () => {
    const keys = await withPolluted('targets', { httpsHosts: ['evil.test'] }, () =>
      Promise.resolve(openRemoteControl({ directory })),
    );
    expect(await ending(() => keys.signDeviceKey(unknownKey, evilBytes))).toBe('invalid_payload');
    await keys.close();
  });

  test('clockSkewSeconds does not make the verifier accept a proof that is an hour old', async () => {
    const code = await withPolluted('clockSkewSeconds', 7200, () =>
      ending(() =>
        verifyDeviceKeyProof(
          proofs.get(oldPayload)!,
          { publicKeySpkiDerBase64: signer.publicKeySpkiDerBase64, ...oldPayload },
          { nonces: new InMemoryNonceStore() },
        ),
      ),
    );
    expect(code).toBe('expired');
  });
});

test('elements on Array.prototype are not hosts', async () => {
  const array = Array.prototype as unknown as Record<string, unknown>;
  array[0] = 'evil.test';
  try {
    expect(await ending(() => DeviceKeyStore.open({ targets: { httpsHosts: [,] as never } }))).toBe(
      'invalid_params',
    );
  } finally {
    Reflect.deleteProperty(array, '0');
  }
});

test('remoteControlTargets is frozen, its lists too', () => {
  expect(Object.isFrozen(remoteControlTargets)).toBe(true);
  expect(Object.values(remoteControlTargets).every(Object.isFrozen)).toBe(true);
});
