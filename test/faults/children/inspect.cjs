// Prints the state of a store: each listed key, and whether it signs. Then triggers the sweeps of
// leftovers (with a list, a create and its delete), and deletes the keys in `remove`.
const { DeviceKeyStore } = require('node-device-key');

const { options, payload, remove } = JSON.parse(process.argv[2]);

async function main() {
  const store = DeviceKeyStore.open(options);
  const { accountUserId, clientId } = payload;
  const params = { accountUserId, clientId, protectionPolicy: 'allow_os_protected_nonextractable' };
  const keys = [];
  for (const { keyId, error } of await store.list()) {
    const problem =
      error ??
      (await store.sign({ keyId, payload }).then(
        () => null,
        (e) => e,
      ));
    keys.push({ keyId, problem: problem && `${problem.code}: ${problem.message}` });
  }
  const { keyId } = await store.create(params);
  for (const id of [keyId, ...remove]) await store.delete({ keyId: id });
  await store.close();
  console.log(JSON.stringify(keys));
}

void main();
