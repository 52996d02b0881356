// Creates, uses and deletes keys, one after the other, `lives` times, for a number of seconds, or until
// the file `stopFile` exists. Writes each step to `progress` before and after it, because tests kill this
// process or make its system calls fail.
const { appendFileSync, existsSync } = require('node:fs');
const { DeviceKeyStore } = require('node-device-key');

const { options, payload, progress, lives, seconds, stopFile } = JSON.parse(process.argv[2]);
const most = 5; // keys that stay
const note = (...words) => appendFileSync(progress, `${words.join(' ')}\n`);

async function step(name, keyId, run) {
  note(name, 'begin', keyId);
  try {
    const result = await run();
    note(name, 'done', keyId || (result?.keyId ?? ''));
    return result;
  } catch (error) {
    note(name, 'failed', keyId, error.name, error.code, error.message.replaceAll('\n', ' '));
    return null;
  }
}

async function main() {
  const store = DeviceKeyStore.open(options);
  const kept = [];
  const end = Date.now() + 1000 * seconds;
  const goesOn = (life) => {
    if (stopFile !== undefined) return !existsSync(stopFile);
    return seconds === undefined ? life < lives : Date.now() < end;
  };
  for (let life = 0; goesOn(life); ++life) {
    const { accountUserId, clientId } = payload;
    const params = {
      accountUserId,
      clientId,
      protectionPolicy: 'allow_os_protected_nonextractable',
    };
    const key = await step('create', '', () => store.create(params));
    if (!key) continue;
    const { keyId } = key;
    // In a long test, the token of `payload` expires.
    const tokenExpiresAt = Math.floor(Date.now() / 1000) + 600;
    await step('sign', keyId, () => store.sign({ keyId, payload: { ...payload, tokenExpiresAt } }));
    await step('list', '', () => store.list());
    // Every second key stays until there are enough.
    if (life % 2 === 1) kept.push(keyId);
    const old = life % 2 === 0 ? keyId : kept.length > most ? kept.shift() : null;
    if (old) await step('delete', old, () => store.delete({ keyId: old }));
  }
  await step('close', '', () => store.close());
}

void main();
