import { createRequire } from 'node:module';

import type { SqliteDatabase } from 'node-device-key/verify';

export type Database = SqliteDatabase & { close(): void };

type Open = new (file: string) => Database;

/**
 * Opens a SQLite file with `node:sqlite`, or with better-sqlite3 if Node.js does not have it
 * (before 22.13). Needs Node.js 20.16 or later.
 */
export function openDatabase(file: string): Database {
  const nodeSqlite = process.getBuiltinModule('node:sqlite' as never) as
    { DatabaseSync: Open } | undefined;
  const database = new (nodeSqlite?.DatabaseSync ?? betterSqlite3())(file);
  // First, because the other statements may have to wait for another process.
  database.exec('PRAGMA busy_timeout = 5000');
  database.exec('PRAGMA journal_mode = WAL');
  database.exec('PRAGMA synchronous = FULL'); // a confirmed change survives a power loss
  return database;
}

const betterSqlite3 = () => createRequire(__filename)('better-sqlite3') as Open;
