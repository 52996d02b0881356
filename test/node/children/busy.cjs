// Has `count` signatures in flight with a TPM that hangs, and one thread in libuv's pool. Meanwhile
// it uses the event loop and the file system. Prints its progress before any signature ended.
const fs = require('node:fs/promises');
const { DeviceKeyStore } = require('node-device-key');

const { options, params, count, turns } = JSON.parse(process.argv[2]);

async function main() {
  const store = DeviceKeyStore.open(options);
  let ended = 0;
  const signatures = Array.from({ length: count }, () => store.sign(params).finally(() => ended++));
  const all = Promise.allSettled(signatures);

  let turned = 0;
  for (; turned < turns; turned += 1) await new Promise(setImmediate);
  const stats = await Promise.all(Array.from({ length: 100 }, () => fs.stat(__filename)));

  console.log(JSON.stringify({ turned, stats: stats.length, ended }));
  await all;
}

main();
