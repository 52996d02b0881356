import { clockOf, readArgument } from './arguments';
import {
  DeviceKeyRegistry,
  deviceKeysSchema,
  insertedColumns,
  type KeyRow,
  type SqlValue,
} from './key-registry';
import { requireNoTransaction, requireSqlite, type SqliteDatabase } from './sqlite';

/**
 * A {@link DeviceKeyRegistry} in a SQLite file, for the processes of one host. Open the database as for
 * `SqliteNonceStore`; it can be the same one. SQLite 3.35 or later.
 */
export class SqliteKeyRegistry extends DeviceKeyRegistry {
  readonly #database: SqliteDatabase;

  /**
   * Creates the table if it is absent.
   *
   * @param database the caller's database, which the caller closes
   * @param options.now the time in Unix seconds; default the system clock
   */
  constructor(database: SqliteDatabase, options: { now?: () => number } = {}) {
    super(clockOf(readArgument(options, 'options')));
    requireSqlite(database);
    database.exec(deviceKeysSchema);
    this.#database = database;
  }

  // Async so that what is thrown rejects, here and below, though nothing is awaited.
  // eslint-disable-next-line @typescript-eslint/require-await
  protected override async rows(sql: string, values: SqlValue[]): Promise<KeyRow[]> {
    requireNoTransaction(this.#database);
    return this.#run(sql, values);
  }

  // eslint-disable-next-line @typescript-eslint/require-await
  protected override async replace(
    predecessor: string,
    successor: SqlValue[],
    now: number,
  ): Promise<KeyRow | 'not_in_force' | 'already_enrolled'> {
    requireNoTransaction(this.#database);
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      const revoked = this.#run(
        `UPDATE device_keys SET revoked_at = $1
         WHERE public_key_spki = $2 AND revoked_at IS NULL RETURNING public_key_spki`,
        [now, predecessor],
      );
      const [row] = revoked.length === 0 ? [] : this.#insert(successor);
      this.#database.exec(row === undefined ? 'ROLLBACK' : 'COMMIT');
      return row ?? (revoked.length === 0 ? 'not_in_force' : 'already_enrolled');
    } catch (error) {
      this.#rollBack();
      throw error;
    }
  }

  #insert(values: SqlValue[]): KeyRow[] {
    return this.#run(
      `INSERT INTO device_keys (${insertedColumns}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
       ON CONFLICT DO NOTHING RETURNING *`,
      values,
    );
  }

  #rollBack(): void {
    try {
      this.#database.exec('ROLLBACK');
    } catch {
      // SQLite ends a transaction by itself after some errors, such as a full disk.
    }
  }

  #run(sql: string, values: SqlValue[]): KeyRow[] {
    return this.#database.prepare(sql.replaceAll(/\$\d+/g, '?')).all(...values) as KeyRow[];
  }
}
