// Counts what stores leave in this process, with the given `scenario`, and prints the numbers.
const { once } = require('node:events');
const { readFileSync, readdirSync } = require('node:fs');
const { setTimeout: delay } = require('node:timers/promises');
const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads');

const { options, scenario, cycles, params } = isMainThread
  ? JSON.parse(process.argv[2])
  : workerData;
const { DeviceKeyStore } = require('node-device-key');

function held() {
  return {
    threads: readdirSync('/proc/self/task').length,
    descriptors: readdirSync('/proc/self/fd').length,
  };
}

async function openAndClose(times, use) {
  for (let i = 0; i < times; i += 1) {
    const store = DeviceKeyStore.open(options);
    await use(store);
    await store.close();
  }
}
const openListClose = (times) => openAndClose(times, (store) => store.list());
const openSignClose = (times) => openAndClose(times, (store) => store.sign(params));

// Memory that is not of a file. Needs --expose-gc. /proc/self/status has this number too, but not exactly.
function anonymousKibibytes() {
  globalThis.gc();
  const rollup = readFileSync('/proc/self/smaps_rollup', 'utf8');
  return Number(/^Anonymous: +(\d+) kB$/m.exec(rollup)[1]);
}

const scenarios = {
  // The first cycle loads code that stays loaded.
  async 'open, list and close'() {
    await openListClose(1);
    const before = held();
    await openListClose(cycles);
    return { before, after: held() };
  },

  // How much the memory grows in each half of the cycles.
  async 'open, sign and close'() {
    await openSignClose(1);
    const before = held();
    const atStart = anonymousKibibytes();
    await openSignClose(cycles / 2);
    const atHalf = anonymousKibibytes();
    await openSignClose(cycles / 2);
    const atEnd = anonymousKibibytes();
    const grownKibibytes = { firstHalf: atHalf - atStart, secondHalf: atEnd - atHalf };
    return { before, after: held(), grownKibibytes };
  },

  // Counted in the worker, because its end would free its leaks.
  async 'open, list and close in a worker thread'() {
    const inWorker = { options, cycles, scenario: 'open, list and close' };
    const [counted] = await once(new Worker(__filename, { workerData: inWorker }), 'message');
    return counted;
  },

  // Needs --expose-gc.
  async 'drop without closing'() {
    await openListClose(1);
    const before = held();
    await Promise.all(Array.from({ length: cycles }, () => DeviceKeyStore.open(options).list()));
    const most = held();
    const deadline = Date.now() + 20_000;
    while (held().threads > before.threads && Date.now() < deadline) {
      globalThis.gc();
      await delay(20);
    }
    return { before, most, after: held() };
  },

  async 'drop while an operation is outstanding'() {
    const listings = Array.from({ length: cycles }, () => DeviceKeyStore.open(options).list());
    globalThis.gc();
    return (await Promise.all(listings)).length;
  },
};

void scenarios[scenario]().then((result) => {
  if (isMainThread) console.log(JSON.stringify(result));
  else parentPort.postMessage(result);
});
