// Every function that the package exports, with arguments that throw when they are read, or that are
// nothing a caller should pass: it does its work, or ends in a typed error that names the argument.
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { inspect } from 'node:util';

import fc from 'fast-check';

import * as appServer from '../../dist/app-server.js';
import * as dpop from '../../dist/dpop.js';
import * as main from '../../dist/index.js';
import * as remoteControl from '../../dist/remote-control.js';
import * as remoteControlModule from '../../dist/remote-control/module.js';
import * as testing from '../../dist/testing.js';
import * as verify from '../../dist/verify.js';
import { CertificateAuthority } from '../support/certificate-authority';
import { DpopSoftwareKey } from '../support/dpop-proofs';
import { binding, connectionPayload, enrollmentPayload } from '../support/payloads';
import { SoftwareKeys } from '../support/software-attestation';
import { SoftwareSigner } from '../support/software-signer';
import { openSqlite } from '../support/sqlite';
import { stubStore } from '../support/stub-store';

const root = path.join(__dirname, '../..');
const broken = new Error('a hostile value was read');
const fail = (): never => {
  throw broken;
};

/** An object for which every operation throws: a member read, a call, a list of keys. */
function throwsAtAll(target: object): unknown {
  const traps = Object.getOwnPropertyNames(Reflect).map((trap) => [trap, fail] as const);
  return new Proxy(target, Object.fromEntries(traps));
}

function revoked(): unknown {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

function cyclic(): unknown {
  const object: Record<string, unknown> = { list: [] };
  (object.list as unknown[]).push(object);
  return object;
}

/** A view of a buffer that was transferred, as to another thread. */
function detached(): Uint8Array {
  const view = new Uint8Array(new ArrayBuffer(32));
  structuredClone(view.buffer, { transfer: [view.buffer] });
  return view;
}

/** By name, so that a failure says which one it was. */
const hostileValues: Record<string, unknown> = {
  null: null,
  undefined: undefined,
  true: true,
  'a number': 7,
  NaN: NaN,
  Infinity: Infinity,
  'a negative number': -1,
  'a fraction': 0.5,
  '2^53': 2 ** 53,
  'a BigInt': 1n,
  'a symbol': Symbol('s'),
  'an empty string': '',
  'a huge string': 'x'.repeat(2 ** 20 + 1),
  'a lone surrogate': '\ud800',
  'a NUL': '\0',
  'an array': [],
  'an array with holes': Array(3) as unknown[],
  'a cycle': cyclic(),
  'an object without a prototype': Object.create(null) as unknown,
  'an object whose conversions throw': {
    toString: fail,
    valueOf: fail,
    [Symbol.toPrimitive]: fail,
  },
  'an object whose toJSON throws': { toJSON: fail },
  'an object with a getter that throws': Object.defineProperty({}, 'keyId', {
    get: fail,
    enumerable: true,
  }),
  'an invalid Date': new Date(NaN),
  'a detached buffer': detached().buffer,
  'a view of a detached buffer': detached(),
  'a shared buffer': new SharedArrayBuffer(8),
  'a proxy that throws': throwsAtAll({}),
  'a proxy of an array that throws': throwsAtAll([]),
  'a revoked proxy': revoked(),
};

/** A function and arguments that it accepts; made for each call, since some are used up by one. */
interface Callee {
  call: (...args: never[]) => unknown;
  valid: () => unknown[] | Promise<unknown[]>;
}

// --- what there is to call ---------------------------------------------------------------------------

/** The modules that `exports` of package.json names, by their last part. */
const entries: Record<string, object> = {
  '.': main,
  './app-server': appServer,
  './verify': verify,
  './dpop': dpop,
  './remote-control': remoteControl,
  './remote-control/module': remoteControlModule,
  './testing': testing,
};

function isClass(value: unknown): value is new (...args: never[]) => unknown {
  return typeof value === 'function' && /^class\b/.test(Function.prototype.toString.call(value));
}

/** The functions of an object that it and its prototypes have. */
function methodsOf(object: object): string[] {
  const names = new Set<string>();
  for (
    let holder: object | null = object;
    holder !== null &&
    ![Object.prototype, Function.prototype, Error, Error.prototype].includes(holder);
    holder = Object.getPrototypeOf(holder) as object | null
  ) {
    for (const name of Reflect.ownKeys(holder)) {
      const value: unknown = Object.getOwnPropertyDescriptor(holder, name)!.value;
      if (name !== 'constructor' && typeof value === 'function') names.add(String(name));
    }
  }
  return [...names];
}

/** `entry name`, `entry new Name`, `entry Name.static`, `entry Name#method`. */
function exported(): string[] {
  return Object.entries(entries).flatMap(([entry, module]) =>
    Object.entries(module).flatMap(([name, value]) => {
      if (typeof value !== 'function') return [];
      if (!isClass(value)) return [`${entry} ${name}`];
      return [
        `${entry} new ${name}`,
        ...methodsOf(value).map((method) => `${entry} ${name}.${method}`),
        ...methodsOf(value.prototype as object).map((method) => `${entry} ${name}#${method}`),
      ];
    }),
  );
}

// --- how to call it ----------------------------------------------------------------------------------

const signer = new SoftwareSigner();
const { publicKeySpkiDerBase64 } = signer;
const keyId = `dk_tpm_${Buffer.alloc(32).toString('base64url')}`;
const key = {
  ...{ keyId, publicKeySpkiDerBase64, algorithm: 'ecdsa_p256_sha256' },
  protectionClass: 'hardware_tpm',
};
const challenge = Buffer.alloc(32, 7).toString('base64url');
const softwareKeys = new SoftwareKeys();
const attestation = softwareKeys.attest(challenge);
const dpopKey = new DpopSoftwareKey();
const dpopRequest = { htm: 'POST', htu: 'https://as.test/token' };
const operation = () => ({ signal: new AbortController().signal });
const unixSeconds = () => Math.floor(Date.now() / 1000);
const nonce = () => randomBytes(32).toString('base64url');

let directory: string;
let maker: CertificateAuthority;
let store: main.DeviceKeyStore;
let remote: remoteControl.RemoteControlDeviceKeys;
let memory: testing.InMemoryDeviceKeyStore;
let memoryDpopKeyId: string;
let atprotoKey: dpop.AtprotoDpopKey;
let mcpSession: dpop.McpDpopSession;

/** No TPM is at this address, so nothing is ever created in the hardware of this machine. */
const storeOptions = () => ({ directory, tcti: `swtpm:path=${directory}/no-tpm`, timeoutMs: 5000 });

const targets = () => ({
  ...{ httpsHosts: ['as.test'], allowLoopback: true, maxLifetimeSeconds: 900 },
  ...{ connectionPaths: ['/connect'], enrollmentPaths: ['/enroll'] },
});

/** For servers that are given no streams. */
function endedStream(): PassThrough {
  return new PassThrough().end();
}

beforeAll(async () => {
  for (const [name, get] of Object.entries({
    stdin: endedStream,
    stdout: () => new PassThrough(),
  })) {
    Object.defineProperty(process, name, { get, configurable: true });
  }
  directory = await mkdtemp(path.join(tmpdir(), 'dk-hostile-'));
  maker = await CertificateAuthority.create('ec');
  store = main.DeviceKeyStore.open(storeOptions());
  remote = remoteControl.openRemoteControl(storeOptions());
  memory = testing.createInMemoryDeviceKeyStore({ protectionClass: 'hardware_tpm' });
  const origins = ['https://as.test'];
  ({ keyId: memoryDpopKeyId } = await memory.createDpopKey({ clientId: 'c', origins }));
  atprotoKey = await dpop.atprotoDpopKey(memory, memoryDpopKeyId);
  mcpSession = await dpop.mcpDpopSession(memory, memoryDpopKeyId);
});
afterAll(async () => {
  await Promise.all([store.close(), remote.close(), memory.close(), main.closeDefaultStore()]);
  await maker.close();
  await rm(directory, { recursive: true });
});

const expectedOf = (payload: ReturnType<typeof connectionPayload>) => ({
  ...payload,
  publicKeySpkiDerBase64,
});

function verification(): unknown[] {
  const payload = connectionPayload();
  const options = {
    ...{ nonces: new verify.InMemoryNonceStore(), now: unixSeconds, onDecision: () => undefined },
    ...{ clockSkewSeconds: 30, maxLifetimeSeconds: 900 },
  };
  return [signer.signPayload(payload), expectedOf(payload), options];
}

function dpopVerification(): unknown[] {
  const proof = dpopKey.proof({ ...dpopRequest, jti: nonce(), iat: unixSeconds() });
  const { jkt } = dpopKey;
  const options = {
    ...{ nonces: new verify.InMemoryNonceStore(), now: unixSeconds },
    ...{ clockWindowSeconds: 300, clockSkewSeconds: 30 },
  };
  return [proof, { ...dpopRequest, jkt, accessToken: undefined, nonce: undefined }, options];
}

const exchangeOptions = () => ({
  states: new verify.InMemoryAttestationStateStore(),
  ...{ trust: null, lifetimeSeconds: 300, now: unixSeconds },
});
/** The roots of a TPM's maker. */
const trust = () => {
  const certificate = maker.certificate.toString();
  return { roots: [certificate], intermediates: [certificate] };
};
const newExchange = () => new verify.TpmAttestationExchange(exchangeOptions());
const exchange = newExchange();

/** The arguments of the second step of a new exchange. */
async function secondStep(): Promise<[string, ReturnType<SoftwareKeys['attest']>]> {
  const about = { publicKeySpkiDerBase64: softwareKeys.publicKeySpkiDerBase64 };
  const begun = await exchange.challenge(about);
  return [begun.attestationId, softwareKeys.attest(begun.challenge)];
}

async function lastStep(): Promise<[string, string]> {
  const { attestationId } = await exchange.makeCredential(...(await secondStep()));
  return [attestationId, Buffer.alloc(32).toString('base64')];
}

const credential = () => ({
  endorsementKeyPublicArea: Buffer.from(attestation.endorsementKeys[0]!.publicArea, 'base64'),
  objectName: Buffer.alloc(34),
  secret: Buffer.alloc(32),
});

// The databases' own tests use real ones. Here only what is passed to the package is looked at.
const noRows = { rowCount: 0, rows: [] as unknown[] };
const pool = () => ({ query: () => Promise.resolve(noRows) });
/** The row of `toEnroll`. */
const enrolledRow = {
  public_key_spki: publicKeySpkiDerBase64,
  ...{ key_id: keyId, account_user_id: binding.accountUserId, client_id: binding.clientId },
  ...{ protection_class: key.protectionClass, attestation: null, predecessor_spki: null },
  ...{ created_at: '1', last_used_at: null, revoked_at: null },
};
const poolWithKey = () => ({
  query: () => Promise.resolve({ rowCount: 1, rows: [enrolledRow] }),
});
const redis = () => ({ sendCommand: () => Promise.resolve(null) });

const toEnroll = () => ({ ...binding, key, attestation: null });
const owner = () => [{ ...binding }];
const spki = () => [publicKeySpkiDerBase64];
const rotationChallenge = () => {
  const { challengeId, targetOrigin, targetPath, challengeExpiresAt } = enrollmentPayload();
  return { nonce: nonce(), challengeId, targetOrigin, targetPath, challengeExpiresAt };
};
const successorKey = {
  ...key,
  publicKeySpkiDerBase64: new SoftwareSigner().publicKeySpkiDerBase64,
};
/** The key of `toEnroll` agrees to its successor. */
const rotation = () => {
  const challenge = rotationChallenge();
  const deviceIdentitySha256Base64url = main.deviceIdentitySha256(successorKey as never);
  return [
    { ...binding, key: successorKey, attestation: null },
    signer.signPayload(enrollmentPayload({ ...challenge, deviceIdentitySha256Base64url })),
    ...[challenge, { nonces: new verify.InMemoryNonceStore() }],
  ];
};
const proofUse = () => [nonce(), unixSeconds() + 60];
const nothing = () => [];

function registry(make: () => verify.DeviceKeyRegistry): Record<string, Callee> {
  const call =
    (method: 'enroll' | 'find' | 'inForce' | 'list' | 'recordUse' | 'revoke' | 'rotate') =>
    (...args: never[]) =>
      (make()[method] as (...given: never[]) => unknown)(...args);
  return {
    enroll: { call: call('enroll'), valid: () => [toEnroll()] },
    find: { call: call('find'), valid: spki },
    inForce: { call: call('inForce'), valid: owner },
    list: { call: call('list'), valid: () => ['account'] },
    recordUse: { call: call('recordUse'), valid: spki },
    recordAttestation: {
      call: (...args: [never, never]) => make().recordAttestation(...args),
      valid: () => [publicKeySpkiDerBase64, { publicKeySpkiDerBase64, provenAt: 1 }],
    },
    revoke: { call: call('revoke'), valid: spki },
    rotate: {
      call: async (...args: [never, never, never, never]) => {
        const keys = make();
        await keys.enroll(toEnroll() as never);
        return keys.rotate(...args);
      },
      valid: rotation,
    },
  };
}

const inClass = (name: string, callees: Record<string, Callee>) =>
  Object.fromEntries(
    Object.entries(callees).map(([method, callee]) => [`${name}#${method}`, callee]),
  );

const methodsOfStore = (of: () => object, names: Record<string, () => unknown[]>) =>
  Object.fromEntries(
    Object.entries(names).map(([name, valid]): [string, Callee] => [
      name,
      {
        call: (...args) => {
          const target = of() as Record<string, (...given: never[]) => unknown>;
          return target[name]!(...args);
        },
        valid,
      },
    ]),
  );

const createParams = () => ({ ...binding, protectionPolicy: 'hardware_only' });
const signParams = () => ({ keyId, payload: connectionPayload() });
const dpopCreateParams = () => ({ clientId: 'c', origins: ['https://as.test'] });
const dpopSignParams = (id = keyId) => ({ keyId: id, ...dpopRequest, nonce: 'n' });
const ofKey = () => [{ keyId }];
const attestParams = () => ({ keyId, challenge });
const activateParams = () => ({
  keyId,
  credentialBlob: Buffer.alloc(70).toString('base64'),
  encryptedSecret: Buffer.alloc(70).toString('base64'),
});
const signedBytes = () => Buffer.from(signer.signPayload(connectionPayload()).signedPayloadBase64);

const remoteFunctions = {
  // With an id, and bytes, that no store signs for.
  createDeviceKey: () => ['not a policy'],
  getDeviceKeyPublic: () => [keyId],
  signDeviceKey: () => [keyId, signedBytes()],
  deleteDeviceKey: () => [keyId],
};
const defaultRemote = methodsOfStore(() => remoteControl, remoteFunctions);

const storeMethods = {
  create: () => [createParams(), operation()],
  createDpopKey: () => [dpopCreateParams(), operation()],
  public: ofKey,
  sign: () => [signParams(), operation()],
  signDpop: () => [dpopSignParams(), operation()],
  delete: ofKey,
  list: nothing,
  support: () => [{ all: false }],
};

const request = () => ({ id: 1, method: 'device/key/list', params: {} });
const stub = () => stubStore({ list: () => Promise.resolve([]) });

const callees: Record<string, Record<string, Callee>> = {
  '.': {
    deviceIdentitySha256: { call: main.deviceIdentitySha256, valid: () => [key] },
    'DeviceKeyStore.open': {
      call: async (options: never) => main.DeviceKeyStore.open(options).close(),
      valid: () => [
        {
          ...storeOptions(),
          ...{ allowSimulator: true, queueLimit: 10, userPresence: { reuseSeconds: 60 } },
          targets: targets(),
          pkcs11: { module: '/nonexistent.so', token: 'pkcs11:serial=1', pin: '1234' },
        },
      ],
    },
    ...inClass('DeviceKeyStore', {
      ...methodsOfStore(() => store, {
        ...storeMethods,
        createUnbound: () => [{ protectionPolicy: 'hardware_only' }],
        signBytes: () => [{ keyId, signedPayloadBase64: signedBytes().toString('base64') }],
        attest: () => [attestParams(), operation()],
        activateAttestation: () => [activateParams(), operation()],
      }),
    }),
    // On the default store, which may have a TPM: with params that no store accepts.
    createDeviceKey: {
      call: main.createDeviceKey,
      valid: () => [{ accountUserId: '', clientId: '' }, operation()],
    },
    getDeviceKeyPublic: { call: main.getDeviceKeyPublic, valid: ofKey },
    signDeviceKey: { call: main.signDeviceKey, valid: () => [signParams(), operation()] },
    deleteDeviceKey: { call: main.deleteDeviceKey, valid: ofKey },
    attestDeviceKey: { call: main.attestDeviceKey, valid: () => [attestParams(), operation()] },
    activateDeviceKeyAttestation: {
      call: main.activateDeviceKeyAttestation,
      valid: () => [activateParams(), operation()],
    },
    listDeviceKeys: { call: main.listDeviceKeys, valid: nothing },
    probeDeviceKeySupport: { call: main.probeDeviceKeySupport, valid: () => [{ all: false }] },
    closeDefaultStore: { call: main.closeDefaultStore, valid: nothing },
  },
  './app-server': {
    createDeviceKeyRequestHandler: {
      call: (options: never) => appServer.createDeviceKeyRequestHandler(options),
      valid: () => [
        {
          ...{ store: stub(), transport: 'stdio', allowRemoteTransport: false },
          onUnexpectedError: () => undefined,
        },
      ],
    },
    'createDeviceKeyRequestHandler()': {
      call: (...args: [never, never]) =>
        appServer.createDeviceKeyRequestHandler({
          ...{ store: stub(), transport: 'stdio', onUnexpectedError: () => undefined },
        })(...args),
      valid: () => [request(), operation()],
    },
    serveStdio: {
      call: (options: never) => appServer.serveStdio(options),
      valid: () => {
        // Read, so that an answer of any length ends.
        const [input, output] = [new PassThrough(), new PassThrough().resume()];
        input.end(`${JSON.stringify({ id: 0, method: 'initialize' })}\n`);
        return [
          {
            ...{ store: stub(), input, output, maxRequestsInFlight: 10 },
            ...{ server: { name: 'n', version: '1' }, onUnexpectedError: () => undefined },
          },
        ];
      },
    },
  },
  './verify': {
    deviceIdentitySha256: { call: verify.deviceIdentitySha256, valid: () => [key] },
    'new InMemoryNonceStore': {
      call: (options: never) => new verify.InMemoryNonceStore(options),
      valid: () => [{ capacity: 1, now: unixSeconds }],
    },
    'InMemoryNonceStore#consume': {
      call: (...args: [never, never]) => new verify.InMemoryNonceStore().consume(...args),
      valid: proofUse,
    },
    verifyDpopProof: { call: verify.verifyDpopProof, valid: dpopVerification },
    'new DpopServerNonces': {
      call: (...args: [never, never]) => new verify.DpopServerNonces(...args).issue(),
      valid: () => [Buffer.alloc(32), { lifetimeSeconds: 300, now: unixSeconds }],
    },
    'DpopServerNonces#issue': {
      call: () => new verify.DpopServerNonces(Buffer.alloc(32)).issue(),
      valid: nothing,
    },
    'DpopServerNonces#accepts': {
      call: (given: never) => new verify.DpopServerNonces(Buffer.alloc(32)).accepts(given),
      valid: () => [new verify.DpopServerNonces(Buffer.alloc(32)).issue()],
    },
    'new PostgresKeyRegistry': {
      call: (...args: [never, never]) => new verify.PostgresKeyRegistry(...args),
      valid: () => [pool(), { now: unixSeconds }],
    },
    ...inClass(
      'PostgresKeyRegistry',
      registry(() => new verify.PostgresKeyRegistry(poolWithKey())),
    ),
    'new PostgresNonceStore': {
      call: (given: never) => new verify.PostgresNonceStore(given),
      valid: () => [pool()],
    },
    'PostgresNonceStore#consume': {
      call: (...args: [never, never]) => new verify.PostgresNonceStore(pool()).consume(...args),
      valid: proofUse,
    },
    'PostgresNonceStore#sweep': {
      call: () => new verify.PostgresNonceStore(pool()).sweep(),
      valid: nothing,
    },
    'new RedisNonceStore': {
      call: (...args: [never, never]) => new verify.RedisNonceStore(...args),
      valid: () => [redis(), { keyPrefix: 'prefix:' }],
    },
    'RedisNonceStore#consume': {
      call: (...args: [never, never]) => new verify.RedisNonceStore(redis()).consume(...args),
      valid: proofUse,
    },
    'new SqliteKeyRegistry': {
      call: (...args: [never, never]) => new verify.SqliteKeyRegistry(...args),
      valid: () => [openSqlite(':memory:'), { now: unixSeconds }],
    },
    ...inClass(
      'SqliteKeyRegistry',
      registry(() => new verify.SqliteKeyRegistry(openSqlite(':memory:'))),
    ),
    'new SqliteNonceStore': {
      call: (...args: [never, never]) => new verify.SqliteNonceStore(...args),
      valid: () => [openSqlite(':memory:'), { now: unixSeconds }],
    },
    'SqliteNonceStore#consume': {
      call: (...args: [never, never]) =>
        new verify.SqliteNonceStore(openSqlite(':memory:')).consume(...args),
      valid: proofUse,
    },
    'SqliteNonceStore#sweep': {
      call: () => new verify.SqliteNonceStore(openSqlite(':memory:')).sweep(),
      valid: nothing,
    },
    verifyDeviceKeyProof: { call: verify.verifyDeviceKeyProof, valid: verification },
    verifyDeviceKeySignature: {
      call: verify.verifyDeviceKeySignature,
      valid: () => [{ ...signer.signPayload(connectionPayload()), publicKeySpkiDerBase64 }],
    },
    verifyTpmKeyAttestation: {
      call: verify.verifyTpmKeyAttestation,
      valid: () => [
        attestation,
        { challenge, publicKeySpkiDerBase64: softwareKeys.publicKeySpkiDerBase64 },
        ...[null, new Date()],
      ],
    },
    makeTpmCredential: { call: verify.makeTpmCredential, valid: () => [credential()] },
    'new InMemoryAttestationStateStore': {
      call: (options: never) => new verify.InMemoryAttestationStateStore(options),
      valid: () => [{ capacity: 1, now: unixSeconds }],
    },
    'InMemoryAttestationStateStore#put': {
      call: async (...args: [never, never, never]) => {
        const states = new verify.InMemoryAttestationStateStore();
        await states.put(...args);
        await states.take(args[0]);
      },
      valid: () => ['id', 'state', unixSeconds() + 60],
    },
    'InMemoryAttestationStateStore#take': {
      call: (id: never) => new verify.InMemoryAttestationStateStore().take(id),
      valid: () => ['id'],
    },
    'new TpmAttestationExchange': {
      call: (options: never) => new verify.TpmAttestationExchange(options),
      valid: () => [{ ...exchangeOptions(), trust: trust() }],
    },
    'TpmAttestationExchange#challenge': {
      call: (given: never) => newExchange().challenge(given),
      valid: () => [{ publicKeySpkiDerBase64 }],
    },
    'TpmAttestationExchange#makeCredential': {
      call: (...args: [never, never]) => exchange.makeCredential(...args),
      valid: secondStep,
    },
    'TpmAttestationExchange#complete': {
      call: (...args: [never, never]) => exchange.complete(...args),
      valid: lastStep,
    },
  },
  './dpop': {
    dpopFetch: {
      call: (...args: [never, never, never]) => dpop.dpopFetch(...args),
      valid: () => [memory, memoryDpopKeyId, { fetch: () => Promise.resolve(new Response()) }],
    },
    atprotoDpopKey: { call: dpop.atprotoDpopKey, valid: () => [memory, memoryDpopKeyId] },
    'atprotoDpopKey()#createJwt': {
      call: (...args: [never, never]) => atprotoKey.createJwt(...args),
      valid: () => [
        { typ: 'dpop+jwt', alg: 'ES256' },
        { ...dpopRequest, nonce: 'n' },
      ],
    },
    mcpDpopSession: { call: dpop.mcpDpopSession, valid: () => [memory, memoryDpopKeyId] },
    ...Object.fromEntries(
      Object.entries(
        methodsOfStore(() => mcpSession, {
          nonceFor: () => ['https://as.test'],
          rememberNonce: () => ['https://as.test', 'nonce'],
          observeNonce: () => [new Response(), 'https://as.test'],
          buildProof: () => [{ ...dpopRequest, nonce: 'n', accessToken: 'token' }],
        }),
      ).map(([name, callee]) => [`mcpDpopSession()#${name}`, callee]),
    ),
  },
  './remote-control': {
    openRemoteControl: {
      call: (options: never) => remoteControl.openRemoteControl(options).close(),
      valid: () => [storeOptions()],
    },
    ...Object.fromEntries(
      Object.entries(methodsOfStore(() => remote, remoteFunctions)).map(([name, callee]) => [
        `openRemoteControl()#${name}`,
        callee,
      ]),
    ),
    ...defaultRemote,
  },
  './remote-control/module': methodsOfStore(() => remoteControlModule, remoteFunctions),
  './testing': {
    createInMemoryDeviceKeyStore: {
      call: (options: never) => testing.createInMemoryDeviceKeyStore(options),
      valid: () => [{ protectionClass: 'hardware_tpm', targets: targets() }],
    },
    ...Object.fromEntries(
      Object.entries(methodsOfStore(() => memory, storeMethods)).map(([name, callee]) => [
        `createInMemoryDeviceKeyStore()#${name}`,
        callee,
      ]),
    ),
  },
};

/** What is exported and not called here, with the reason. */
const uncalled: Record<string, string> = {
  '. new DeviceKeyError': 'as the constructor of Error',
  './verify new DeviceKeyVerificationError': 'as the constructor of Error',
  '. new DeviceKeyStore': 'private; open() calls it',
  '. DeviceKeyStore#close': 'takes no argument; open() closes here',
  [`. DeviceKeyStore#${String(Symbol.asyncDispose)}`]: 'is close',
  './verify PostgresKeyRegistry#rows': 'protected',
  './verify PostgresKeyRegistry#replace': 'protected',
  './verify SqliteKeyRegistry#rows': 'protected',
  './verify SqliteKeyRegistry#replace': 'protected',
};

// --- the tests ---------------------------------------------------------------------------------------

test('every entry of package.json that is a module is here', async () => {
  const { exports } = JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8')) as {
    exports: Record<string, string | object>;
  };
  const modules = Object.keys(exports).filter((name) => typeof exports[name] === 'object');
  expect(Object.keys(entries).sort()).toEqual(modules.sort());
});

test('every exported function, constructor and method is called here', () => {
  const called = Object.entries(callees).flatMap(([entry, functions]) =>
    Object.keys(functions)
      .filter((name) => !name.includes('()'))
      .map((name) => `${entry} ${name}`),
  );
  expect([...called, ...Object.keys(uncalled)].sort()).toEqual(exported().sort());
});

test('every method of the objects that exported functions make is called here', () => {
  const made = { openRemoteControl: remote, atprotoDpopKey: atprotoKey };
  const all = { ...made, mcpDpopSession: mcpSession, createInMemoryDeviceKeyStore: memory };
  const called = Object.values(callees).flatMap((functions) => Object.keys(functions));
  for (const [maker, object] of Object.entries(all)) {
    const methods = methodsOf(object).filter((name) => !/^close$|^Symbol/.test(name));
    const missing = methods.filter((name) => !called.includes(`${maker}()#${name}`));
    expect({ maker, missing }).toEqual({ maker, missing: [] });
  }
});

/** The error that the call ends with; undefined when it did its work. */
async function errorOf(callee: Callee, args: unknown[]): Promise<unknown> {
  try {
    await callee.call(...(args as never[]));
    return undefined;
  } catch (error) {
    return error ?? new Error(`thrown: ${inspect(error)}`);
  }
}

/** Whether a caller is told of the error as documented. */
function isTyped(error: unknown): boolean {
  if (error instanceof main.DeviceKeyError) return true;
  if (error instanceof verify.DeviceKeyVerificationError) return true;
  // Node.js' own and V8's TypeErrors name no argument of ours.
  return error instanceof TypeError && error.message.includes(' must ') && !('code' in error);
}

function isAboutParams(error: unknown): error is main.DeviceKeyError {
  if (!(error instanceof main.DeviceKeyError)) return false;
  return error.code === 'invalid_params' || error.code === 'invalid_payload';
}

/** Whether an error about params names the innermost member of `place`. */
function namesPlace(error: unknown, place: Place): boolean {
  if (!isAboutParams(error)) return true;
  const member = place.slice(1).findLast((name) => !/^\d+$/.test(name));
  // The text as a whole cannot be written or read, before there are members.
  const isAboutText = /JSON (text$|value in UTF-8)|cannot be (written as JSON|read)$/.test(
    error.message,
  );
  return member === undefined || isAboutText || error.message.includes(member);
}

/** The way to a value: the index of an argument, then names of members and indexes of elements. */
type Place = string[];

function isPlain(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
  );
}

/** Each place below `value`: members of plain objects and elements of arrays, at any depth. */
function placesIn(value: unknown): Place[] {
  if (!isPlain(value) && !Array.isArray(value)) return [];
  return Object.entries(value).flatMap(([name, inner]): Place[] => [
    [name],
    ...placesIn(inner).map((place) => [name, ...place]),
  ]);
}

/** A copy of `target` with `value` in `place`. */
function replaced(target: unknown, [name, ...inner]: Place, value: unknown): unknown {
  if (name === undefined) return value;
  const copy = (Array.isArray(target) ? target.slice() : { ...(target as object) }) as Record<
    string,
    unknown
  >;
  copy[name] = replaced(copy[name], inner, value);
  return copy;
}

/** The complaints about a call for each place of its arguments, with `value` there. */
async function complaintsWith(callee: Callee, what: string, value: unknown): Promise<string[]> {
  const complaints: string[] = [];
  const usual = await errorOf(callee, await callee.valid());
  for (const place of placesIn(await callee.valid())) {
    const args = replaced(await callee.valid(), place, value) as unknown[];
    const error = await errorOf(callee, args);
    if (error === undefined) continue;
    // A call that no store accepts can be refused for another member.
    if (isTyped(error) && (isAboutParams(usual) || namesPlace(error, place))) continue;
    complaints.push(`argument ${place.join('.')} is ${what}: ${inspect(error)}`);
  }
  return complaints;
}

const cases = Object.entries(callees).flatMap(([entry, functions]) =>
  Object.entries(functions).map(([name, callee]) => [`${entry} ${name}`, callee] as const),
);

describe.each(cases)('%s', (_, callee) => {
  test('with each hostile value in each place', async () => {
    const complaints: string[] = [];
    for (const [what, value] of Object.entries(hostileValues)) {
      complaints.push(...(await complaintsWith(callee, what, value)));
    }
    expect(complaints).toEqual([]);
  });

  test('with anything', async () => {
    await fc.assert(
      fc.asyncProperty(fc.anything({ withBigInt: true, withDate: true }), async (value) => {
        expect(await complaintsWith(callee, 'this', value)).toEqual([]);
      }),
      { numRuns: 20 },
    );
  });
});
