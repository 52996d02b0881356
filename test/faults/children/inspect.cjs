// Makes the leftovers in a store old and prints its state: each listed key, and whether it signs. Then
// triggers the sweeps of leftovers (with a list, a create and its delete), and deletes the keys in
// `remove`.
const { DeviceKeyStore } = require('node-device-key');
const { ageLeftovers, listAndSign } = require('../guest/inspect.cjs');

const { options, payload, remove } = JSON.parse(process.argv[2]);

async function main() {
  ageLeftovers(options.directory);
  const store = DeviceKeyStore.open(options);
  const { accountUserId, clientId } = payload;
  const params = { accountUserId, clientId, protectionPolicy: 'allow_os_protected_nonextractable' };
  const keys = await listAndSign(store, payload);
  const { keyId } = await store.create(params);
  for (const id of [keyId, ...remove]) await store.delete({ keyId: id });
  await store.close();
  console.log(JSON.stringify(keys));
}

void main();
