// Runs in the guest of run-guest.sh. Prints the results of three tests: many processes that use one
// store through /dev/tpmrm0 at once; the same while another program occupies all slots of the TPM
// through /dev/tpm0 again and again; and a store at /dev/tpm0, which another program has open.
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { closeSync, openSync, readFileSync } = require('node:fs');
const { setTimeout: sleep } = require('node:timers/promises');
const { DeviceKeyStore } = require('node-device-key');
const { listAndSign } = require('./inspect.cjs');
const { freeSlots, loadedObjects, takeSlots } = require('./slots.cjs');

const { payload, processes, lives, starvedSeconds } = JSON.parse(process.argv[2]);
const { accountUserId, clientId } = payload;
const options = { directory: '/tmp/keys', timeoutMs: 60_000 };

// Returns the steps of all processes. `length` has the member `lives` or `seconds` of live.cjs.
async function crowd(name, length) {
  const steps = await Promise.all(
    Array.from({ length: processes }, async (_, i) => {
      const progress = `/tmp/progress-${name}-${i}`;
      const input = JSON.stringify({ options, payload, progress, ...length });
      await once(spawn(process.execPath, ['live.cjs', input], { stdio: 'inherit' }), 'close');
      return readFileSync(progress, 'utf8');
    }),
  );
  return steps.join('');
}

async function starvedCrowd() {
  let ended = false;
  const working = crowd('starved', { seconds: starvedSeconds }).finally(() => (ended = true));
  const taken = [];
  while (!ended) {
    taken.push(await takeSlots());
    await sleep(1_000);
    await freeSlots();
    await sleep(1_000);
  }
  return { steps: await working, taken };
}

async function inspect() {
  const store = DeviceKeyStore.open(options);
  const keys = await listAndSign(store, payload);
  await store.close();
  return keys;
}

// The kernel lets one program at a time open /dev/tpm0.
async function openElsewhere() {
  const store = DeviceKeyStore.open({ directory: '/tmp/bare-keys', tcti: 'device:/dev/tpm0' });
  const protectionPolicy = 'allow_os_protected_nonextractable';
  const create = () =>
    store.create({ accountUserId, clientId, protectionPolicy }).then(
      (key) => key.protectionClass,
      ({ name, code }) => `${name} ${code}`,
    );
  const node = openSync('/dev/tpm0', 'r+');
  const during = await create();
  closeSync(node);
  const after = await create();
  await store.close();
  return { during, after };
}

async function main() {
  const steps = await crowd('undisturbed', { lives });
  const starved = await starvedCrowd();
  const keys = await inspect();
  const elsewhere = await openElsewhere();
  const loaded = await loadedObjects();
  process.stdout.write(JSON.stringify({ steps, starved, keys, elsewhere, loaded }));
}

void main();
