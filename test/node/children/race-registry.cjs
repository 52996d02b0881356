// Makes the same calls of a key registry as other processes, all at once, and prints the result of
// each: `race-registry.cjs <postgres|sqlite> <socket directory or file> <enroll|rotate> <file of
// calls>`.
'use strict';
const { readFileSync } = require('node:fs');
const verify = require('../../../dist/verify.js');

const open = {
  postgres(host) {
    const pool = new (require('pg').Pool)({ host, user: 'test', database: 'postgres', max: 8 });
    return [new verify.PostgresKeyRegistry(pool), () => pool.end()];
  },
  sqlite(file) {
    const nodeSqlite = process.getBuiltinModule('node:sqlite');
    const database = nodeSqlite
      ? new nodeSqlite.DatabaseSync(file)
      : new (require('better-sqlite3'))(file);
    database.exec('PRAGMA busy_timeout = 60000');
    return [new verify.SqliteKeyRegistry(database), () => database.close()];
  },
};

async function main([driver, where, method, file]) {
  const [registry, close] = open[driver](where);
  const options = { nonces: new verify.InMemoryNonceStore() };
  const ending = (args) =>
    registry[method](...args, ...(method === 'rotate' ? [options] : [])).then(
      () => 'done',
      (error) => error.code ?? String(error),
    );
  const calls = JSON.parse(readFileSync(file, 'utf8'));
  const endings = await Promise.all(calls.map(ending));
  await close();
  console.log(JSON.stringify(endings));
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
