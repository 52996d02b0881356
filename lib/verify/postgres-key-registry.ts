import { clockOf, readArgument } from './arguments';
import {
  DeviceKeyRegistry,
  deviceKeysSchema,
  insertedColumns,
  type KeyRow,
  type SqlValue,
} from './key-registry';
import { requirePool, schemaLock, type PostgresPool } from './postgres';

/** A {@link DeviceKeyRegistry} in PostgreSQL. Create its table with {@link PostgresKeyRegistry.schema}. */
export class PostgresKeyRegistry extends DeviceKeyRegistry {
  /** Run it at any start, in any number of processes: it changes nothing that is there. */
  static readonly schema = schemaLock + deviceKeysSchema;

  readonly #pool: PostgresPool;

  /**
   * @param pool the caller's pool, which the caller ends
   * @param options.now the time in Unix seconds; default the system clock
   */
  constructor(pool: PostgresPool, options: { now?: () => number } = {}) {
    super(clockOf(readArgument(options, 'options')));
    requirePool(pool);
    this.#pool = pool;
  }

  protected override async rows(sql: string, values: SqlValue[]): Promise<KeyRow[]> {
    const { rows } = await this.#pool.query(sql, values);
    return rows as KeyRow[];
  }

  // One statement, so that a pool can run it. An insertion that fails undoes the update.
  protected override async replace(
    predecessor: string,
    successor: SqlValue[],
    now: number,
  ): Promise<KeyRow | 'not_in_force' | 'already_enrolled'> {
    try {
      const [row] = await this.rows(
        `WITH revoked AS (
           UPDATE device_keys SET revoked_at = $1
           WHERE public_key_spki = $2 AND revoked_at IS NULL RETURNING public_key_spki
         )
         INSERT INTO device_keys (${insertedColumns})
         SELECT $3, $4, $5, $6, $7, $8, $9::bigint, $10 FROM revoked RETURNING *`,
        [now, predecessor, ...successor],
      );
      return row ?? 'not_in_force';
    } catch (error) {
      if ((error as { code?: unknown }).code === UNIQUE_VIOLATION) return 'already_enrolled';
      throw error;
    }
  }
}

/** SQLSTATE, PostgreSQL's manual, appendix A. */
const UNIQUE_VIOLATION = '23505';
