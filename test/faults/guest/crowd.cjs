// Runs in the guest of run-guest.sh. Prints the results of three tests: many processes that use one
// store through /dev/tpmrm0 at once; the same while another program occupies all slots of the TPM
// through /dev/tpm0 again and again; and a store at /dev/tpm0, which another program has open.
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { closeSync, openSync, readFileSync, writeFileSync } = require('node:fs');
const { setTimeout: sleep } = require('node:timers/promises');
const { DeviceKeyStore } = require('node-device-key');
const { listAndSign } = require('./inspect.cjs');
const { freeSlots, loadedObjects, takeSlots } = require('./slots.cjs');

const { payload, processes, lives, starvedSeconds } = JSON.parse(process.argv[2]);
const { accountUserId, clientId } = payload;
const options = { directory: '/tmp/keys', timeoutMs: 60_000 };

const progressFiles = (name) =>
  Array.from({ length: processes }, (_, i) => `/tmp/progress-${name}-${i}`);
const stepsOf = (name) =>
  progressFiles(name)
    .map((file) => readFileSync(file, 'utf8'))
    .join('');

// Returns how each process ended (its exit status, or the name of the signal) and the steps of all.
// `length` has the member `lives` or `stopFile` of live.cjs.
async function crowd(name, length) {
  const ended = await Promise.all(
    progressFiles(name).map(async (progress) => {
      writeFileSync(progress, '');
      const input = JSON.stringify({ options, payload, progress, ...length });
      const child = spawn(process.execPath, ['live.cjs', input], { stdio: 'inherit' });
      const [code, signal] = await once(child, 'close');
      return code ?? signal;
    }),
  );
  return { ended, steps: stepsOf(name) };
}

// Waits until the processes have written one more line that `pattern` matches, for a second at least.
async function newStep(name, pattern) {
  const count = () => (stepsOf(name).match(pattern) ?? []).length;
  const before = count();
  const limit = Date.now() + 120_000;
  do {
    if (Date.now() > limit) throw new Error(`no step matched ${pattern} in 120 s`);
    await sleep(1_000);
  } while (count() === before);
}

// The processes work until an operation has failed while the slots were taken and a key has signed after
// they were freed, at least once, however slow the machine is.
async function starvedCrowd() {
  const stopFile = '/tmp/stop';
  const working = crowd('starved', { stopFile });
  const taken = [];
  const end = Date.now() + 1000 * starvedSeconds;
  do {
    taken.push(await takeSlots());
    await newStep('starved', /^\w+ failed /gm);
    await freeSlots();
    await newStep('starved', /^sign done /gm);
  } while (Date.now() < end);
  writeFileSync(stopFile, '');
  return { ...(await working), taken };
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
  const undisturbed = await crowd('undisturbed', { lives });
  const starved = await starvedCrowd();
  const keys = await inspect();
  const elsewhere = await openElsewhere();
  const loaded = await loadedObjects();
  process.stdout.write(JSON.stringify({ undisturbed, starved, keys, elsewhere, loaded }));
}

void main();
