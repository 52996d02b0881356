// Runs in the guest of run-guest.sh, in the first boot after the TPM was cleared. Prints what signing
// with each old key and deleting it resulted in, and the new key that it makes and signs with.
const { DeviceKeyStore } = require('node-device-key');

const { payload } = JSON.parse(process.argv[2]);
const outcome = (promise) =>
  promise.then(
    () => 'fulfilled',
    ({ name, code }) => `${name} ${code}`,
  );

async function main() {
  const store = DeviceKeyStore.open({ directory: '/kept/keys', timeoutMs: 60_000 });
  const old = [];
  for (const { keyId } of await store.list()) {
    const sign = await outcome(store.sign({ keyId, payload }));
    old.push({ keyId, sign, remove: await outcome(store.delete({ keyId })) });
  }
  const { accountUserId, clientId } = payload;
  const { keyId } = await store.create({ accountUserId, clientId });
  const sign = await outcome(store.sign({ keyId, payload }));
  const listed = (await store.list()).map((key) => key.keyId);
  await store.close();
  process.stdout.write(JSON.stringify({ old, made: { keyId, sign }, listed }));
}

void main();
