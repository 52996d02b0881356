import { hasMethod } from './arguments';

/** A `DatabaseSync` of `node:sqlite`, or a `Database` of the package `better-sqlite3`. */
export interface SqliteDatabase {
  exec(sql: string): unknown;
  prepare(sql: string): SqliteStatement;
  /** better-sqlite3: whether a transaction is open. */
  readonly inTransaction?: boolean;
  /** node:sqlite: whether a transaction is open. */
  readonly isTransaction?: boolean;
}

export interface SqliteStatement {
  run(...values: (string | number | null)[]): { changes: number | bigint };
  all(...values: (string | number | null)[]): unknown[];
}

export function requireSqlite(database: unknown): void {
  if (!hasMethod(database, 'prepare')) {
    throw new TypeError('database must be one of node:sqlite or of the package better-sqlite3');
  }
}

/** Throws while the caller has a transaction open: its rollback would undo what was promised. */
export function requireNoTransaction(database: SqliteDatabase): void {
  if (database.inTransaction === true || database.isTransaction === true) {
    throw new Error('the SQLite connection has a transaction open, whose rollback would forget');
  }
}
