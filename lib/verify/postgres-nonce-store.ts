import { requireUse, type NonceStore } from './nonce-store';
import { requirePool, schemaLock, type PostgresPool } from './postgres';

/**
 * A {@link NonceStore} in PostgreSQL. The primary key on the nonce lets exactly one `INSERT` succeed; an
 * answer that the server could not commit rejects.
 *
 * Give it a pool: on one client inside a transaction, a rollback would forget nonces that were accepted.
 * Create the table with {@link PostgresNonceStore.schema}.
 */
export class PostgresNonceStore implements NonceStore {
  /** Run it at any start, in any number of processes: it changes nothing that is there. */
  static readonly schema = `${schemaLock}
    CREATE TABLE IF NOT EXISTS device_key_nonces (
      nonce text PRIMARY KEY,
      expires_at double precision NOT NULL -- Unix seconds
    );
    CREATE INDEX IF NOT EXISTS device_key_nonces_expires_at ON device_key_nonces (expires_at);`;

  readonly #pool: PostgresPool;

  /** @param pool the caller's pool, which the caller ends */
  constructor(pool: PostgresPool) {
    requirePool(pool);
    this.#pool = pool;
  }

  async consume(nonce: string, expiresAtUnixSeconds: number): Promise<boolean> {
    requireUse(nonce, expiresAtUnixSeconds);
    // An expired nonce may have been swept already, so it is never the first. In PostgreSQL NaN is
    // greater than every number.
    const { rowCount } = await this.#pool.query(
      `INSERT INTO device_key_nonces (nonce, expires_at)
       SELECT $1::text, $2::double precision
       WHERE $2::double precision > extract(epoch FROM clock_timestamp()) AND $2 < 'Infinity'
       ON CONFLICT (nonce) DO NOTHING`,
      [nonce, expiresAtUnixSeconds],
    );
    if (rowCount !== 0 && rowCount !== 1)
      throw new Error('PostgreSQL did not say what it inserted');
    return rowCount === 1;
  }

  /**
   * Deletes expired nonces and resolves to their number. Call it every few minutes, in one process or in
   * all. Nonces that expired less than an hour ago stay, in case the server's clock is set back.
   */
  async sweep(): Promise<number> {
    const { rowCount } = await this.#pool.query(
      `DELETE FROM device_key_nonces
       WHERE expires_at < extract(epoch FROM clock_timestamp()) - $1::double precision`,
      [3600],
    );
    return rowCount ?? 0;
  }
}
