// The nonce stores with real servers. `DEVICE_KEY_TEST_NONCES=50000` runs the full exactly-once
// tests.
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

import { Redis } from 'ioredis';
import { Pool } from 'pg';
import { createClient } from 'redis';

import { PostgresNonceStore, RedisNonceStore, SqliteNonceStore } from '../../lib/verify';
import { PostgresServer, RedisServer } from '../support/databases';
import { openSqlite, sqlitePackage, type TestDatabase } from '../support/sqlite';

const count = Number(process.env['DEVICE_KEY_TEST_NONCES'] ?? 1000);
const expiry = () => Date.now() / 1000 + 900;

/** How many of `count` nonces 8 concurrent processes consumed first, in total. */
async function firstOf8Processes(driver: string, where: string): Promise<number> {
  const child = path.join(__dirname, 'children/consume-nonces.cjs');
  const run = () => promisify(execFile)(process.execPath, [child, driver, where, String(count)]);
  const outputs = await Promise.all(Array.from({ length: 8 }, run));
  return outputs.reduce((sum, { stdout }) => sum + Number(stdout), 0);
}

describe('Redis', () => {
  let server: RedisServer;
  let clients: { destroy: () => unknown }[];
  beforeEach(async () => {
    clients = [];
    server = new RedisServer();
    await server.start();
  });
  afterEach(async () => {
    for (const client of clients) client.destroy();
    await server.stop();
  });

  async function nodeRedis(socket = server.socket) {
    const client = createClient({
      socket: { path: socket, tls: false },
      disableOfflineQueue: true,
    });
    client.on('error', () => undefined); // commands reject too
    await client.connect();
    clients.push({ destroy: () => (client.isOpen ? client.destroy() : undefined) });
    return client;
  }
  function ioredis() {
    const client = new Redis({ path: server.socket, maxRetriesPerRequest: 1 });
    client.on('error', () => undefined);
    clients.push({ destroy: () => client.disconnect() });
    return client;
  }

  test.each(['redis', 'ioredis'])(
    '%s: 8 processes consume each nonce once',
    async (driver) => {
      expect(await firstOf8Processes(driver, server.socket)).toBe(count);
    },
    900_000,
  );

  test('a nonce is accepted once, with either client', async () => {
    const stores = [new RedisNonceStore(await nodeRedis()), new RedisNonceStore(ioredis())];
    expect(await stores[0]!.consume('a', expiry())).toBe(true);
    expect(await stores[1]!.consume('a', expiry())).toBe(false);
    expect(await stores[1]!.consume('b', expiry())).toBe(true);
    expect(await stores[0]!.consume('b', expiry())).toBe(false);
  });

  test('a key prefix separates backends', async () => {
    const client = await nodeRedis();
    expect(await new RedisNonceStore(client).consume('a', expiry())).toBe(true);
    const other = new RedisNonceStore(client, { keyPrefix: 'other:' });
    expect(await other.consume('a', expiry())).toBe(true);
    expect((await client.keys('*')).sort()).toEqual(['device-key-nonce:a', 'other:a']);
  });

  test('an expired nonce is removed from the server', async () => {
    const client = await nodeRedis();
    await new RedisNonceStore(client).consume('a', 2_000_000_000.5);
    expect(await client.pExpireTime('device-key-nonce:a')).toBe(2_000_000_000_500);
  });

  test('a nonce that expired by the clock of the server is an error', async () => {
    const store = new RedisNonceStore(await nodeRedis());
    await expect(store.consume('a', Date.now() / 1000 - 1)).rejects.toThrow(/did not keep/);
  });

  test('a killed server still has its nonces after a restart', async () => {
    const store = new RedisNonceStore(await nodeRedis());
    expect(await store.consume('a', expiry())).toBe(true);
    await server.kill();
    await expect(store.consume('a', expiry())).rejects.toThrow();
    await expect(store.consume('b', expiry())).rejects.toThrow();
    await server.start();
    expect(await new RedisNonceStore(await nodeRedis()).consume('a', expiry())).toBe(false);
  });

  test('a closed connection causes an error or a refusal, never a second acceptance', async () => {
    const killer = await nodeRedis();
    const store = new RedisNonceStore(await nodeRedis());
    const id = await killer.sendCommand(['CLIENT', 'ID']);
    const first = async () => store.consume('a', expiry()).catch(() => 'error' as const);
    const answers = [first(), first(), first()];
    await killer.sendCommand(['CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes']);
    answers.push(first(), first());
    const all = await Promise.all(answers);
    expect(id).toEqual(expect.any(Number));
    expect(all.filter((answer) => answer === true).length).toBeLessThanOrEqual(1);
    const again = await new RedisNonceStore(killer).consume('a', expiry());
    if (all.includes(true)) expect(again).toBe(false);
  });

  test('a read-only replica is an error', async () => {
    const replica = new RedisServer();
    try {
      await replica.start('--replicaof', '127.0.0.1', '1');
      const store = new RedisNonceStore(await nodeRedis(replica.socket));
      await expect(store.consume('a', expiry())).rejects.toThrow(/READONLY/);
    } finally {
      await replica.stop();
    }
  });

  test('a server with full memory is an error, and keeps its nonces', async () => {
    const client = await nodeRedis();
    const store = new RedisNonceStore(client);
    expect(await store.consume('a', expiry())).toBe(true);
    await client.configSet('maxmemory', '1');
    await expect(store.consume('b', expiry())).rejects.toThrow(/OOM/);
    await client.configSet('maxmemory', '0');
    expect(await store.consume('a', expiry())).toBe(false);
    expect(await store.consume('b', expiry())).toBe(true);
  });

  test.each([null, {}, undefined])('%p is not a client', (client) => {
    expect(() => new RedisNonceStore(client as never)).toThrow(TypeError);
  });
});

describe('PostgreSQL', () => {
  let server: PostgresServer;
  let pool: Pool;
  beforeAll(async () => {
    server = new PostgresServer();
    await server.start();
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    pool = newPool();
    await pool.query(PostgresNonceStore.schema);
  });
  afterEach(async () => {
    await pool.query('DROP TABLE device_key_nonces');
    await pool.end();
  });

  function newPool(options?: string): Pool {
    const host = server.directory;
    const made = new Pool({ host, user: 'test', database: 'postgres', options });
    made.on('error', () => undefined); // idle clients of a server that ended
    return made;
  }

  test('8 processes consume each nonce once', async () => {
    expect(await firstOf8Processes('postgres', server.socket)).toBe(count);
  }, 900_000);

  test('many processes can create the table at once', async () => {
    for (let round = 0; round < 10; round += 1) {
      await pool.query('DROP TABLE device_key_nonces');
      await Promise.all(Array.from({ length: 8 }, () => pool.query(PostgresNonceStore.schema)));
    }
  });

  test('a nonce is accepted once', async () => {
    const store = new PostgresNonceStore(pool);
    expect(await store.consume('a', expiry())).toBe(true);
    expect(await store.consume('a', expiry())).toBe(false);
  });

  test('an expired nonce is never accepted', async () => {
    const store = new PostgresNonceStore(pool);
    expect(await store.consume('a', Date.now() / 1000 - 1)).toBe(false);
    expect(await store.consume('b', NaN)).toBe(false);
  });

  test('a sweep deletes nonces that expired more than an hour ago', async () => {
    const store = new PostgresNonceStore(pool);
    await store.consume('a', expiry());
    const old = 'INSERT INTO device_key_nonces VALUES ($1, $2)';
    await pool.query(old, ['long ago', Date.now() / 1000 - 3700]);
    await pool.query(old, ['just now', Date.now() / 1000 - 10]);
    expect(await store.sweep()).toBe(1);
    const { rows } = await pool.query<{ nonce: string }>('SELECT nonce FROM device_key_nonces');
    expect(rows.map(({ nonce }) => nonce).sort()).toEqual(['a', 'just now']);
  });

  test('a crashed server still has its nonces after a restart', async () => {
    const store = new PostgresNonceStore(pool);
    expect(await store.consume('a', expiry())).toBe(true);
    await server.kill('SIGQUIT'); // "immediate shutdown": no checkpoint, recovery at the next start
    await expect(store.consume('a', expiry())).rejects.toThrow();
    await expect(store.consume('b', expiry())).rejects.toThrow();
    await server.start();
    const again = async (): Promise<boolean> => store.consume('a', expiry()).catch(again);
    expect(await again()).toBe(false);
  });

  test('a closed connection causes an error or a refusal, never a second acceptance', async () => {
    const store = new PostgresNonceStore(pool);
    const first = () => store.consume('a', expiry()).catch(() => 'error' as const);
    const killer = newPool();
    try {
      const answers = Array.from({ length: 5 }, first);
      await killer.query(
        'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()',
      );
      answers.push(first(), first());
      const all = await Promise.all(answers);
      expect(all.filter((answer) => answer === true).length).toBeLessThanOrEqual(1);
      if (all.includes(true)) {
        expect(await new PostgresNonceStore(killer).consume('a', expiry())).toBe(false);
      }
    } finally {
      await killer.end();
    }
  });

  test('a server that is read-only is an error', async () => {
    const readOnly = newPool('-c default_transaction_read_only=on');
    await expect(new PostgresNonceStore(readOnly).consume('a', expiry())).rejects.toThrow(
      /read-only/,
    );
    await readOnly.end();
  });

  test.each([null, {}, undefined])('%p is not a pool', (other) => {
    expect(() => new PostgresNonceStore(other as never)).toThrow(TypeError);
  });
});

/**
 * An error with this message. better-sqlite3 makes its errors with the constructor of the test file
 * that loaded it first in this process, so `toThrow` does not accept them as errors.
 */
const says = (message: RegExp) => ({ message: expect.stringMatching(message) as string });

describe(`SQLite, by ${sqlitePackage}`, () => {
  let directory: string;
  let file: string;
  let database: TestDatabase;
  beforeEach(() => {
    directory = mkdtempSync(path.join(tmpdir(), 'dk-sqlite-'));
    file = path.join(directory, 'nonces.db');
    database = openSqlite(file);
  });
  afterEach(() => {
    database.close();
    rmSync(directory, { recursive: true });
  });

  test('8 processes consume each nonce once', async () => {
    expect(await firstOf8Processes('sqlite', file)).toBe(count);
  }, 900_000);

  test('a nonce is accepted once, also after the file was reopened', async () => {
    expect(await new SqliteNonceStore(database).consume('a', expiry())).toBe(true);
    database.close();
    database = openSqlite(file);
    expect(await new SqliteNonceStore(database).consume('a', expiry())).toBe(false);
  });

  test('an expired nonce is never accepted, and is swept after an hour', async () => {
    const clock = { now: 1000 };
    const store = new SqliteNonceStore(database, { now: () => clock.now });
    expect(await store.consume('a', 1000)).toBe(false);
    expect(await store.consume('b', 1001)).toBe(true);
    expect(await store.consume('c', NaN)).toBe(false);
    clock.now = 4601;
    expect(store.sweep()).toBe(0);
    clock.now = 4602;
    expect(store.sweep()).toBe(1);
  });

  test('a read-only file is an error', async () => {
    new SqliteNonceStore(database);
    const readOnly = openSqlite(file, { readOnly: true });
    const store = new SqliteNonceStore(readOnly);
    await expect(store.consume('a', expiry())).rejects.toMatchObject(says(/readonly/));
    readOnly.close();
  });

  test('a full disk is an error, and the nonces are kept', async () => {
    const store = new SqliteNonceStore(database);
    expect(await store.consume('a', expiry())).toBe(true);
    const [count] = database.prepare('PRAGMA page_count').all() as { page_count: number }[];
    database.exec(`PRAGMA max_page_count = ${count!.page_count}`);
    const fill = async () => {
      for (let i = 0; i < 500; i += 1) await store.consume(`more ${i}`, expiry());
    };
    await expect(fill()).rejects.toMatchObject(says(/database or disk is full/));
    expect(await store.consume('a', expiry())).toBe(false);
  });

  test('a connection with an open transaction is an error, because a rollback would undo the call', async () => {
    const store = new SqliteNonceStore(database);
    database.exec('BEGIN');
    await expect(store.consume('a', expiry())).rejects.toThrow(/transaction/);
    database.exec('ROLLBACK');
    expect(await store.consume('a', expiry())).toBe(true);
  });

  test('a file that another process has locked is an error', async () => {
    const impatient = openSqlite(file, { timeout: 0 });
    const store = new SqliteNonceStore(impatient);
    database.exec('BEGIN IMMEDIATE');
    await expect(store.consume('a', expiry())).rejects.toMatchObject(says(/locked/));
    database.exec('COMMIT');
    expect(await store.consume('a', expiry())).toBe(true);
    impatient.close();
  });
});
