// The registry of enrolled keys, with a real PostgreSQL server and with SQLite.
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

import { Pool } from 'pg';

import {
  deviceIdentitySha256,
  InMemoryNonceStore,
  PostgresKeyRegistry,
  SqliteKeyRegistry,
  verifyDeviceKeyProof,
  type DeviceKeyRegistry,
  type DeviceKeyToEnroll,
  type RotationChallenge,
} from '../../lib/verify';
import { PostgresServer } from '../support/databases';
import { codeOf } from '../support/proof-fixtures';
import { SoftwareSigner } from '../support/software-signer';
import { openSqlite, sqlitePackage, type TestDatabase } from '../support/sqlite';

const owner = { accountUserId: 'user-7f3a', clientId: 'cli_42' };
const target = {
  targetOrigin: 'https://chatgpt.com',
  targetPath: '/wham/remote/control/client/enroll',
};
const TIME = 1_800_000_000;

/** A key to enroll, as from its client's `create`. */
function toEnroll(signer = new SoftwareSigner(), more: Partial<DeviceKeyToEnroll> = {}) {
  const key = {
    keyId: `dk_tpm_${createHash('sha256').update(signer.spki).digest('base64url')}`,
    publicKeySpkiDerBase64: signer.publicKeySpkiDerBase64,
    algorithm: 'ecdsa_p256_sha256',
    protectionClass: 'hardware_tpm',
  } as const;
  return { ...owner, key, ...more };
}

function newChallenge(): RotationChallenge & { challengeExpiresAt: number } {
  const nonce = randomBytes(32).toString('base64url');
  const challengeExpiresAt = Math.floor(Date.now() / 1000) + 120;
  return { challengeId: 'rotation-1', nonce, challengeExpiresAt, ...target };
}

/** The arguments of `rotate` except the options: `signer` names its successor. */
function rotation(signer: SoftwareSigner, successor: DeviceKeyToEnroll, said: object = {}) {
  const challenge = newChallenge();
  const { accountUserId, clientId } = successor;
  const proof = signer.signPayload({
    type: 'remoteControlClientEnrollment',
    audience: 'remote_control_client_enrollment',
    ...challenge,
    ...{ accountUserId, clientId },
    deviceIdentitySha256Base64url: deviceIdentitySha256(successor.key),
    ...said,
  });
  return [successor, proof, challenge] as const;
}

/** A database with the table, and the actions of the tests on it. */
interface Database {
  /** For the connection of all tests except those of races. */
  registry: DeviceKeyRegistry;
  /** On a separate connection. */
  another(): Promise<DeviceKeyRegistry>;
  /** Arguments of race-registry.cjs. */
  readonly child: [driver: string, where: string];
  /** Makes the next calls fail in the database. */
  breakDown(): Promise<void>;
  close(): Promise<void>;
}

let server: PostgresServer | undefined;

async function openPostgres(): Promise<Database> {
  if (server === undefined) {
    server = new PostgresServer();
    await server.start();
  }
  const host = server.directory;
  const pools: Pool[] = [];
  const newRegistry = async () => {
    const pool = new Pool({ host, user: 'test', database: 'postgres' });
    pools.push(pool);
    await pool.query(PostgresKeyRegistry.schema);
    return new PostgresKeyRegistry(pool, { now: () => TIME + 0.9 });
  };
  return {
    registry: await newRegistry(),
    another: newRegistry,
    child: ['postgres', host],
    async breakDown() {
      await pools[0]!.query('DROP TABLE device_keys');
    },
    async close() {
      await pools[0]!.query('DROP TABLE IF EXISTS device_keys');
      for (const pool of pools) await pool.end();
    },
  };
}

// eslint-disable-next-line @typescript-eslint/require-await
async function openSqliteFile(): Promise<Database> {
  const directory = mkdtempSync(path.join(tmpdir(), 'dk-registry-'));
  const file = path.join(directory, 'keys.db');
  const databases: TestDatabase[] = [];
  const newRegistry = () => {
    const database = openSqlite(file);
    databases.push(database);
    return new SqliteKeyRegistry(database, { now: () => TIME + 0.9 });
  };
  return {
    registry: newRegistry(),
    another: () => Promise.resolve(newRegistry()),
    child: ['sqlite', file],
    breakDown: () => Promise.resolve(void databases[0]!.exec('DROP TABLE device_keys')),
    close() {
      for (const database of databases) database.close();
      rmSync(directory, { recursive: true });
      return Promise.resolve();
    },
  };
}

afterAll(() => server?.stop());

describe.each([
  ['PostgreSQL', openPostgres],
  [sqlitePackage, openSqliteFile],
])('in %s', (_, open) => {
  let database: Database;
  let registry: DeviceKeyRegistry;
  let options: { nonces: InMemoryNonceStore };
  // PostgreSQL's first start takes long on a machine under load.
  beforeAll(async () => (await open()).close(), 180_000);
  beforeEach(async () => {
    database = await open();
    registry = database.registry;
    options = { nonces: new InMemoryNonceStore() };
  });
  afterEach(() => database.close());

  const states = async (accountUserId = owner.accountUserId) =>
    (await registry.list(accountUserId)).map(({ revokedAt }) => revokedAt !== null);

  /** The calls in two processes at once; returns the results in pairs. */
  async function inTwoProcesses(method: string, calls: unknown[]): Promise<[string, string][]> {
    const directory = mkdtempSync(path.join(tmpdir(), 'dk-race-'));
    const file = path.join(directory, 'calls.json');
    writeFileSync(file, JSON.stringify(calls));
    const child = path.join(__dirname, 'children/race-registry.cjs');
    const args = [child, ...database.child, method, file];
    const run = async () =>
      JSON.parse((await promisify(execFile)(process.execPath, args)).stdout) as string[];
    const [first, second] = await Promise.all([run(), run()]);
    rmSync(directory, { recursive: true });
    return first.map((ending, index) => [ending, second[index]!]);
  }

  test('an enrolled key is found by its public key, its client and its account', async () => {
    const enrolling = toEnroll();
    const enrolled = await registry.enroll(enrolling);
    const { keyId, publicKeySpkiDerBase64 } = enrolling.key;
    expect(enrolled).toEqual({
      ...owner,
      ...{ keyId, publicKeySpkiDerBase64, protectionClass: 'hardware_tpm', attestation: null },
      ...{ createdAt: TIME, lastUsedAt: null, revokedAt: null, predecessorSpkiDerBase64: null },
    });
    expect(await registry.find(publicKeySpkiDerBase64)).toEqual(enrolled);
    expect(await registry.inForce(owner)).toEqual(enrolled);
    expect(await registry.list(owner.accountUserId)).toEqual([enrolled]);
  });

  test('an unknown key is not found', async () => {
    expect(await registry.find(toEnroll().key.publicKeySpkiDerBase64)).toBeUndefined();
    expect(await registry.inForce(owner)).toBeUndefined();
    expect(await registry.list('nobody')).toEqual([]);
  });

  test('a public key is enrolled once, for any account', async () => {
    const signer = new SoftwareSigner();
    await registry.enroll(toEnroll(signer));
    const again = [toEnroll(signer), toEnroll(signer, { accountUserId: 'other', clientId: 'c' })];
    for (const enrolling of again) {
      expect(await codeOf(() => registry.enroll(enrolling))).toBe('key_already_enrolled');
    }
    expect(await states('other')).toEqual([]);
  });

  test('a client has one key in force', async () => {
    await registry.enroll(toEnroll());
    expect(await codeOf(() => registry.enroll(toEnroll()))).toBe('client_already_enrolled');
    await registry.enroll(toEnroll(undefined, { clientId: 'another of the account' }));
    expect(await states()).toEqual([false, false]);
  });

  test('ids that differ in a character of any script, a quote or a space are different', async () => {
    const ids = ['a', 'A', "a'", 'a ', 'ä', 'a\u0308', '日', '😀', 'x'.repeat(1024)];
    for (const clientId of ids) await registry.enroll(toEnroll(undefined, { clientId }));
    for (const clientId of ids) {
      expect(await registry.inForce({ ...owner, clientId })).toMatchObject({ clientId });
    }
  });

  test('two processes enroll the same public keys: each is enrolled once', async () => {
    const calls = Array.from({ length: 200 }, (__, i) => [
      toEnroll(undefined, { clientId: `client ${i}` }),
    ]);
    const endings = await inTwoProcesses('enroll', calls);
    const expected = calls.map(() => ['done', 'key_already_enrolled']);
    expect(endings.map((pair) => pair.sort().reverse())).toEqual(
      expected.map((pair) => pair.sort().reverse()),
    );
    expect(await states()).toHaveLength(200);
  });

  describe('a use', () => {
    test('is recorded', async () => {
      const { publicKeySpkiDerBase64 } = await registry.enroll(toEnroll());
      await registry.recordUse(publicKeySpkiDerBase64);
      expect(await registry.inForce(owner)).toMatchObject({ lastUsedAt: TIME });
    });

    test('of a key that is revoked, or unknown, is refused', async () => {
      const { publicKeySpkiDerBase64 } = await registry.enroll(toEnroll());
      await registry.revoke(publicKeySpkiDerBase64);
      expect(await codeOf(() => registry.recordUse(publicKeySpkiDerBase64))).toBe('key_revoked');
      expect(await codeOf(() => registry.recordUse('unknown'))).toBe('key_not_enrolled');
    });

    test('of a key that another process revokes during the verification is refused', async () => {
      const signer = new SoftwareSigner();
      await registry.enroll(toEnroll(signer));
      const { publicKeySpkiDerBase64 } = signer;
      const elsewhere = await database.another();
      const nonces = {
        async consume() {
          await elsewhere.revoke(publicKeySpkiDerBase64);
          return true;
        },
      };
      const statement = {
        type: 'remoteControlClientConnection',
        audience: 'remote_control_client_websocket',
        nonce: randomBytes(32).toString('base64url'),
        sessionId: 'session-1',
        ...{ ...owner, ...target },
        tokenExpiresAt: Math.floor(Date.now() / 1000) + 60,
        tokenSha256Base64url: randomBytes(32).toString('base64url'),
        scopes: ['remote_control_controller_websocket'],
      } as const;
      const expected = { publicKeySpkiDerBase64, ...statement };
      await verifyDeviceKeyProof(signer.signPayload(statement), expected, { nonces });
      expect(await codeOf(() => registry.recordUse(publicKeySpkiDerBase64))).toBe('key_revoked');
    });
  });

  describe('a revocation', () => {
    test('is permanent, and the row stays', async () => {
      const enrolling = toEnroll();
      const { publicKeySpkiDerBase64 } = await registry.enroll(enrolling);
      expect(await registry.revoke(publicKeySpkiDerBase64)).toBe(true);
      expect(await registry.revoke(publicKeySpkiDerBase64)).toBe(false);
      expect(await registry.inForce(owner)).toBeUndefined();
      expect(await registry.find(publicKeySpkiDerBase64)).toMatchObject({ revokedAt: TIME });
      expect(await codeOf(() => registry.enroll(enrolling))).toBe('key_already_enrolled');
    });

    test('lets the client enroll another key', async () => {
      const { publicKeySpkiDerBase64 } = await registry.enroll(toEnroll());
      await registry.revoke(publicKeySpkiDerBase64);
      const { publicKeySpkiDerBase64: successor } = await registry.enroll(toEnroll());
      expect(await registry.inForce(owner)).toMatchObject({ publicKeySpkiDerBase64: successor });
      expect((await states()).sort()).toEqual([false, true]);
    });

    test('of a key that is not enrolled is refused', async () => {
      expect(await codeOf(() => registry.revoke('unknown'))).toBe('key_not_enrolled');
    });
  });

  describe('an attestation', () => {
    test('is stored unchanged', async () => {
      const attestation = {
        endorsement: 'chained',
        certificate: { issuer: 'CN=ä' },
        resetCount: 7,
      };
      await registry.enroll(toEnroll(undefined, { attestation }));
      expect(await registry.inForce(owner)).toMatchObject({ attestation });
    });

    test('can be proven later', async () => {
      const { publicKeySpkiDerBase64 } = await registry.enroll(toEnroll());
      const attestation = { publicKeySpkiDerBase64, endorsement: 'pinned' };
      await registry.recordAttestation(publicKeySpkiDerBase64, attestation);
      expect(await registry.inForce(owner)).toMatchObject({ attestation });
      await registry.revoke(publicKeySpkiDerBase64);
      const late = () => registry.recordAttestation(publicKeySpkiDerBase64, attestation);
      expect(await codeOf(late)).toBe('key_revoked');
    });

    test('of another key is refused', async () => {
      const attestation = { publicKeySpkiDerBase64: new SoftwareSigner().publicKeySpkiDerBase64 };
      await expect(registry.enroll(toEnroll(undefined, { attestation }))).rejects.toThrow(
        /attestation must be about the key/,
      );
    });
  });

  describe('a rotation', () => {
    let signer: SoftwareSigner;
    beforeEach(async () => {
      signer = new SoftwareSigner();
      await registry.enroll(toEnroll(signer));
    });
    const rotate = (call: ReturnType<typeof rotation>) => registry.rotate(...call, options);
    const inForce = async () => (await registry.inForce(owner))?.publicKeySpkiDerBase64;

    test('enrolls the successor and revokes the key that named it', async () => {
      const successor = toEnroll(undefined, { attestation: { endorsement: 'pinned' } });
      const enrolled = await rotate(rotation(signer, successor));
      expect(enrolled).toMatchObject({
        ...owner,
        publicKeySpkiDerBase64: successor.key.publicKeySpkiDerBase64,
        attestation: { endorsement: 'pinned' },
        predecessorSpkiDerBase64: signer.publicKeySpkiDerBase64,
      });
      expect(await registry.inForce(owner)).toEqual(enrolled);
      expect(await registry.find(signer.publicKeySpkiDerBase64)).toMatchObject({ revokedAt: TIME });
    });

    test('needs a proof by the key in force', async () => {
      const thief = new SoftwareSigner();
      const call = rotation(thief, toEnroll(thief));
      expect(await codeOf(() => rotate(call))).toBe('signature_mismatch');
      expect(await inForce()).toBe(signer.publicKeySpkiDerBase64);
    });

    test.each([
      ['successor', { deviceIdentitySha256Base64url: deviceIdentitySha256(toEnroll().key) }],
      ['account', { accountUserId: 'other' }],
      ['client', { clientId: 'other' }],
      ['challenge', { challengeId: 'other' }],
      ['nonce', { nonce: randomBytes(32).toString('base64url') }],
    ])('refuses a proof for another %s', async (__, said) => {
      const call = rotation(signer, toEnroll(), said);
      expect(await codeOf(() => rotate(call))).toMatch(/_mismatch$/);
      expect(await inForce()).toBe(signer.publicKeySpkiDerBase64);
    });

    test('accepts a proof once', async () => {
      const call = rotation(signer, toEnroll());
      await rotate(call);
      // The predecessor is revoked, so its proof is checked with the successor's key.
      expect(await codeOf(() => rotate(call))).toBe('signature_mismatch');
      expect(await states()).toHaveLength(2);
    });

    test('to a key that is or was enrolled changes nothing', async () => {
      const other = new SoftwareSigner();
      await registry.enroll(toEnroll(other, { clientId: 'other' }));
      const calls = [rotation(signer, toEnroll(other)), rotation(signer, toEnroll(signer))];
      for (const call of calls) {
        expect(await codeOf(() => rotate(call))).toBe('key_already_enrolled');
      }
      await registry.revoke(other.publicKeySpkiDerBase64);
      const revoked = rotation(signer, toEnroll(other));
      expect(await codeOf(() => rotate(revoked))).toBe('key_already_enrolled');
      expect(await inForce()).toBe(signer.publicKeySpkiDerBase64);
    });

    test('of a client without a key in force is refused', async () => {
      await registry.revoke(signer.publicKeySpkiDerBase64);
      const call = rotation(signer, toEnroll());
      expect(await codeOf(() => rotate(call))).toBe('key_not_enrolled');
    });

    test('of a key that is revoked during the verification is refused', async () => {
      const elsewhere = await database.another();
      const nonces = {
        async consume() {
          await elsewhere.revoke(signer.publicKeySpkiDerBase64);
          return true;
        },
      };
      const call = rotation(signer, toEnroll());
      expect(await codeOf(() => registry.rotate(...call, { nonces }))).toBe('key_revoked');
      expect(await inForce()).toBeUndefined();
    });

    test('twice at the same time succeeds once, in one process', async () => {
      const calls = [rotation(signer, toEnroll()), rotation(signer, toEnroll())];
      const codes = await Promise.all(calls.map((call) => codeOf(() => rotate(call))));
      // A call that finds the successor in force checks the proof with its key.
      expect(codes.sort()).toEqual([
        expect.stringMatching(/^(key_revoked|signature_mismatch)$/),
        undefined,
      ]);
      expect((await states()).sort()).toEqual([false, true]);
    });

    test('twice at the same time succeeds once, in two processes', async () => {
      const calls: unknown[] = [];
      for (let i = 0; i < 50; i += 1) {
        const [old, clientId] = [new SoftwareSigner(), `client ${i}`];
        await registry.enroll(toEnroll(old, { accountUserId: 'racing', clientId }));
        const successor = toEnroll(undefined, { accountUserId: 'racing', clientId });
        calls.push(rotation(old, successor));
      }
      // The processes share no nonce store here, so only the registry can detect it.
      const endings = await inTwoProcesses('rotate', calls);
      expect(endings.map((pair) => pair.filter((ending) => ending === 'done'))).toEqual(
        calls.map(() => ['done']),
      );
      const after = await states('racing');
      expect([after.length, after.filter(Boolean).length]).toEqual([100, 50]);
    });
  });

  test('a database that cannot answer is key_registry_failed', async () => {
    const signer = new SoftwareSigner();
    await registry.enroll(toEnroll(signer));
    await database.breakDown();
    const { publicKeySpkiDerBase64 } = signer;
    const calls = [
      () => registry.enroll(toEnroll()),
      () => registry.find(publicKeySpkiDerBase64),
      () => registry.inForce(owner),
      () => registry.list(owner.accountUserId),
      () => registry.recordUse(publicKeySpkiDerBase64),
      () => registry.recordAttestation(publicKeySpkiDerBase64, {}),
      () => registry.revoke(publicKeySpkiDerBase64),
      () => registry.rotate(...rotation(signer, toEnroll()), options),
    ];
    for (const call of calls) expect(await codeOf(call)).toBe('key_registry_failed');
  });

  test('the table can be created again, with its rows', async () => {
    await registry.enroll(toEnroll());
    const again = await database.another();
    expect(await again.list(owner.accountUserId)).toHaveLength(1);
  });
});

describe('cannot be enrolled:', () => {
  let database: TestDatabase;
  let registry: SqliteKeyRegistry;
  beforeEach(() => {
    database = openSqlite(':memory:');
    registry = new SqliteKeyRegistry(database);
  });
  afterEach(() => database.close());

  const { key } = toEnroll();
  test.each<[string, unknown, string]>([
    ['a number in its place', 7, 'device_key_malformed'],
    ['null in its place', null, 'device_key_malformed'],
    ['no keyId', { ...key, keyId: undefined }, 'device_key_malformed'],
    [
      'a keyId of another class',
      { ...key, keyId: `dk_osn_${'A'.repeat(43)}` },
      'device_key_malformed',
    ],
    [
      'a keyId that is too short',
      { ...key, keyId: `dk_tpm_${'A'.repeat(42)}` },
      'device_key_malformed',
    ],
    ['an unknown class', { ...key, protectionClass: 'toString' }, 'device_key_malformed'],
    ['another algorithm', { ...key, algorithm: 'ecdsa_p384' }, 'algorithm_unsupported'],
    ['a number as public key', { ...key, publicKeySpkiDerBase64: 7 }, 'device_key_malformed'],
    ['an empty public key', { ...key, publicKeySpkiDerBase64: '' }, 'public_key_malformed'],
    ['text as public key', { ...key, publicKeySpkiDerBase64: 'x' }, 'public_key_base64_invalid'],
  ])('a key with %s', async (_, given, code) => {
    const enrolling = toEnroll(undefined, { key: given as never });
    expect(await codeOf(() => registry.enroll(enrolling))).toBe(code);
    expect(await registry.list(owner.accountUserId)).toEqual([]);
  });

  test.each<[string, unknown]>([
    ['that is absent', undefined],
    ['that is a number', 7],
    ['that is empty', ''],
    ['with a NUL', 'a\0b'],
    ['with a lone surrogate', '\ud800'],
    ['of 1025 bytes', 'x'.repeat(1025)],
    ['of 513 characters that are 1026 bytes', 'ä'.repeat(513)],
  ])("an id %s is the backend's mistake", async (_, id) => {
    for (const member of ['accountUserId', 'clientId']) {
      const rejected = expect(registry.enroll(toEnroll(undefined, { [member]: id }))).rejects;
      await rejected.toThrow(new RegExp(`^${member} must be`));
      await rejected.toThrow(TypeError);
    }
    await expect(registry.list(id as never)).rejects.toThrow(TypeError);
  });

  test('a connection with an open transaction is refused, because a rollback would undo the call', async () => {
    database.exec('BEGIN');
    const enrolling = toEnroll();
    expect(await codeOf(() => registry.enroll(enrolling))).toBe('key_registry_failed');
    database.exec('ROLLBACK');
    await registry.enroll(enrolling);
  });
});

test.each([null, {}, undefined])('%p is not a database', (other) => {
  expect(() => new SqliteKeyRegistry(other as never)).toThrow(TypeError);
  expect(() => new PostgresKeyRegistry(other as never)).toThrow(TypeError);
});
