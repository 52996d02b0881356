// A process whose clock jumps: makes a key, and tries every operation after each jump. Prints the
// result of each operation.
const { writeFileSync } = require('node:fs');
const { DeviceKeyStore } = require('node-device-key');

const { options, payload, clockFile, jumps } = JSON.parse(process.argv[2]);
const { accountUserId, clientId } = payload;
const params = { accountUserId, clientId, protectionPolicy: 'allow_os_protected_nonextractable' };
const outcome = (promise) =>
  promise.then(
    () => 'fulfilled',
    ({ code }) => code,
  );

// Written in place, because the file is mapped.
function setClock(offsetSeconds) {
  writeFileSync(clockFile, new BigInt64Array([BigInt(offsetSeconds)]), { flag: 'r+' });
}

async function main() {
  const store = DeviceKeyStore.open(options);
  const first = await store.create(params);
  const report = [];
  for (const offsetSeconds of jumps) {
    setClock(offsetSeconds);
    const shifted = { ...payload, tokenExpiresAt: payload.tokenExpiresAt + offsetSeconds };
    const made = await store.create(params);
    const listed = (await store.list()).map(({ keyId }) => keyId);
    report.push({
      offsetSeconds,
      sign: await outcome(store.sign({ keyId: first.keyId, payload: shifted })),
      listsBoth: listed.includes(first.keyId) && listed.includes(made.keyId),
      remove: await outcome(store.delete({ keyId: made.keyId })),
    });
  }
  await store.close();
  console.log(JSON.stringify(report));
}

void main();
