import { clockOf, readArgument } from './arguments';
import { requireUse, type NonceStore } from './nonce-store';
import {
  requireNoTransaction,
  requireSqlite,
  type SqliteDatabase,
  type SqliteStatement,
} from './sqlite';

/**
 * A {@link NonceStore} in a SQLite file, for the processes of one host. The primary key on the nonce lets
 * exactly one `INSERT` succeed.
 *
 * Open the database with `journal_mode = WAL`, `synchronous = FULL` (with `NORMAL` a power loss forgets the
 * last nonces) and a `busy_timeout`: without it a write of another process rejects at once. The calls are
 * synchronous: each waits for the disk on the calling thread.
 */
export class SqliteNonceStore implements NonceStore {
  readonly #database: SqliteDatabase;
  readonly #insert: SqliteStatement;
  readonly #delete: SqliteStatement;
  readonly #now: () => number;

  /**
   * Creates the table if it is absent.
   *
   * @param database the caller's database, which the caller closes
   * @param options.now the time in Unix seconds; default the system clock
   */
  constructor(database: SqliteDatabase, options: { now?: () => number } = {}) {
    const now = clockOf(readArgument(options, 'options'));
    requireSqlite(database);
    database.exec(`
      CREATE TABLE IF NOT EXISTS device_key_nonces (
        nonce TEXT PRIMARY KEY,
        expires_at REAL NOT NULL -- Unix seconds
      ) WITHOUT ROWID;
      CREATE INDEX IF NOT EXISTS device_key_nonces_expires_at ON device_key_nonces (expires_at);`);
    this.#database = database;
    this.#insert = database.prepare(
      'INSERT INTO device_key_nonces (nonce, expires_at) VALUES (?, ?) ON CONFLICT (nonce) DO NOTHING',
    );
    this.#delete = database.prepare('DELETE FROM device_key_nonces WHERE expires_at < ?');
    this.#now = now;
  }

  // Async, so that an error becomes a rejection. It awaits nothing.
  // eslint-disable-next-line @typescript-eslint/require-await
  async consume(nonce: string, expiresAtUnixSeconds: number): Promise<boolean> {
    requireUse(nonce, expiresAtUnixSeconds);
    requireNoTransaction(this.#database);
    // An expired nonce may have been swept already, so it is never the first.
    if (!(expiresAtUnixSeconds > this.#now())) return false;
    return Number(this.#insert.run(nonce, expiresAtUnixSeconds).changes) === 1;
  }

  /**
   * Deletes expired nonces and returns their number. Call it every few minutes. Nonces that expired less
   * than an hour ago stay, in case the clock is set back.
   */
  sweep(): number {
    return Number(this.#delete.run(this.#now() - 3600).changes);
  }
}
