import BetterSqlite3 from 'better-sqlite3';

import type { SqliteDatabase } from '../../lib/verify';

export interface TestDatabase extends SqliteDatabase {
  close(): void;
}

interface NodeSqlite {
  DatabaseSync: new (file: string, options: { readOnly: boolean }) => TestDatabase;
}

const nodeSqlite = process.getBuiltinModule('node:sqlite' as never) as NodeSqlite | undefined;

/** The package that {@link openSqlite} uses: node:sqlite where Node.js has it (22.13 or later). */
export const sqlitePackage = nodeSqlite ? 'node:sqlite' : 'better-sqlite3';

/** @param options.timeout milliseconds for which a call waits while another connection writes */
export function openSqlite(
  file: string,
  { readOnly = false, timeout = 5000 }: { readOnly?: boolean; timeout?: number } = {},
): TestDatabase {
  const database = nodeSqlite
    ? new nodeSqlite.DatabaseSync(file, { readOnly })
    : new BetterSqlite3(file, { readonly: readOnly });
  database.exec(`PRAGMA busy_timeout = ${timeout}`);
  if (!readOnly) database.exec('PRAGMA journal_mode = WAL');
  return database;
}
