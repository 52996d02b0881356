import type { SqliteDatabase } from 'node-device-key/verify';

/** Records that a backend issues and keeps until they expire: JSON in a separate table. */
export class Records<Value extends object> {
  readonly #database: SqliteDatabase;
  readonly #table: string;

  /** @param table a name from this program's source, never from a request */
  constructor(database: SqliteDatabase, table: string) {
    database.exec(`CREATE TABLE IF NOT EXISTS ${table} (
      id TEXT NOT NULL PRIMARY KEY,
      value TEXT NOT NULL, -- JSON
      expires_at INTEGER NOT NULL -- Unix seconds
    ) WITHOUT ROWID`);
    this.#database = database;
    this.#table = table;
  }

  put(id: string, value: Value, expiresAt: number): void {
    const sql = `INSERT INTO ${this.#table} (id, value, expires_at) VALUES (?, ?, ?)`;
    this.#database.prepare(sql).run(id, JSON.stringify(value), expiresAt);
  }

  get(id: string): Value | undefined {
    const sql = `SELECT value FROM ${this.#table} WHERE id = ? AND expires_at > ?`;
    return this.#first(sql, id);
  }

  /** Returns a record once. */
  take(id: string): Value | undefined {
    return this.#first(
      `DELETE FROM ${this.#table} WHERE id = ? AND expires_at > ? RETURNING value`,
      id,
    );
  }

  /** Deletes expired records. */
  sweep(): void {
    this.#database.prepare(`DELETE FROM ${this.#table} WHERE expires_at <= ?`).run(now());
  }

  #first(sql: string, id: string): Value | undefined {
    const [row] = this.#database.prepare(sql).all(id, now()) as { value: string }[];
    return row && (JSON.parse(row.value) as Value);
  }
}

const now = () => Math.floor(Date.now() / 1000);
