import { hasMethod } from './arguments';

/** A `Pool` of the package `pg`. */
export interface PostgresPool {
  query(text: string, values: unknown[]): Promise<{ rowCount: number | null; rows: unknown[] }>;
}

export function requirePool(pool: unknown): void {
  if (!hasMethod(pool, 'query')) {
    throw new TypeError('pool must be a Pool of the package pg');
  }
}

/**
 * The first statement of a schema. `CREATE … IF NOT EXISTS` fails when another session creates the same
 * object at that moment; statements that are sent in one text are one transaction, which holds this lock.
 * The number is "dkey" in ASCII.
 */
export const schemaLock = 'SELECT pg_advisory_xact_lock(1684759929);';
