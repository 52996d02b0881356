/**
 * Runs the backend: PORT (default 8080), DATABASE_FILE (default backend.db), and LOGINS, the logins
 * that may enroll, as JSON: { "login secret": "account" }. The audit log goes to standard output.
 */
import { startBackend } from './server';

const { PORT = '8080', DATABASE_FILE = 'backend.db', LOGINS = '{}' } = process.env;

startBackend({
  port: Number(PORT),
  databaseFile: DATABASE_FILE,
  logins: new Map(Object.entries(JSON.parse(LOGINS) as Record<string, string>)),
  audit: (line) => void process.stdout.write(`${line}\n`),
}).then(
  ({ origin }) => process.stderr.write(`${origin}\n`),
  (error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  },
);
