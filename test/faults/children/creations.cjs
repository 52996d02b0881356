// Creates and deletes keys, one after the other, and prints how long each creation took.
const { DeviceKeyStore } = require('node-device-key');

const { options, params, creations } = JSON.parse(process.argv[2]);

async function main() {
  const store = DeviceKeyStore.open(options);
  const elapsedMs = [];
  for (let i = 0; i < creations; i += 1) {
    const started = performance.now();
    const { keyId } = await store.create(params);
    elapsedMs.push(performance.now() - started);
    await store.delete({ keyId });
  }
  await store.close();
  console.log(JSON.stringify(elapsedMs));
}

void main();
