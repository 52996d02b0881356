// Reads a token's PIN from a file, passes it to a store in the given way, makes a key, closes the
// store, and waits for the test to read its memory. Run with --expose-gc.
const { readFileSync } = require('node:fs');
const { DeviceKeyStore } = require('node-device-key');

const { options, pinFile, how, params } = JSON.parse(process.argv[2]);

async function main() {
  // This program has the PIN as a string in every case.
  const pin = readFileSync(pinFile, 'latin1');
  globalThis.gc();
  const given = { file: { pinFile }, string: { pin }, function: { pin: () => pin } }[how];
  const store = DeviceKeyStore.open({ ...options, pkcs11: { ...options.pkcs11, ...given } });
  const { keyId } = await store.create(params);
  await store.close();
  globalThis.gc();
  globalThis.keepAlive = { pin, timer: setInterval(() => {}, 1000) };
  console.log(JSON.stringify({ keyId }));
}

main();
