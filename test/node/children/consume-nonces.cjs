// Consumes the same nonces as other processes, each in another order, and prints how many it
// consumed first: `consume-nonces.cjs <redis|ioredis|postgres|sqlite> <socket directory or file>
// <count>`.
'use strict';
const path = require('node:path');
const verify = require('../../../dist/verify.js');

const open = {
  async redis(socket) {
    const client = require('redis').createClient({ socket: { path: socket } });
    await client.connect();
    return [new verify.RedisNonceStore(client), () => client.close()];
  },
  async ioredis(socket) {
    const client = new (require('ioredis').Redis)({ path: socket });
    return [new verify.RedisNonceStore(client), () => client.quit()];
  },
  async postgres(socket) {
    const pool = new (require('pg').Pool)({
      host: path.dirname(socket),
      user: 'test',
      database: 'postgres',
      max: 4,
    });
    return [new verify.PostgresNonceStore(pool), () => pool.end()];
  },
  async sqlite(file) {
    const nodeSqlite = process.getBuiltinModule('node:sqlite');
    const database = nodeSqlite
      ? new nodeSqlite.DatabaseSync(file)
      : new (require('better-sqlite3'))(file);
    database.exec('PRAGMA busy_timeout = 60000; PRAGMA synchronous = NORMAL');
    return [new verify.SqliteNonceStore(database), () => database.close()];
  },
};

async function main([driver, where, count]) {
  const [store, close] = await open[driver](where);
  const expiry = Date.now() / 1000 + 900;
  const start = Math.floor(Math.random() * count);
  let next = 0;
  let first = 0;
  const stream = async () => {
    while (next < count) {
      const nonce = `nonce-${(start + next++) % count}`;
      if (await store.consume(nonce, expiry)) first += 1;
    }
  };
  await Promise.all(Array.from({ length: 32 }, stream));
  await close();
  console.log(first);
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
