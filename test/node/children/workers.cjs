// Runs worker threads that use stores, with the given `scenario`, and prints their reports.
const { once } = require('node:events');
const { setTimeout: delay } = require('node:timers/promises');
const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads');

const input = isMainThread ? JSON.parse(process.argv[2]) : workerData;
const { options, params } = input;

function start(job) {
  return new Worker(__filename, { workerData: { ...input, job } });
}

async function report(worker) {
  // Both from the start, because a worker's last message and its end can come in one turn.
  const [[message]] = await Promise.all([once(worker, 'message'), once(worker, 'exit')]);
  return message;
}

const scenarios = {
  // Each has its own store; all run at once.
  async together() {
    return Promise.all(Array.from({ length: 4 }, () => report(start('sign ten times'))));
  },

  async 'one after the other'() {
    const reports = [];
    for (let i = 0; i < 5; i += 1) reports.push(await report(start('sign ten times')));
    return reports;
  },

  async terminated() {
    const exitCodes = [];
    for (let i = 0; i < 20; i += 1) {
      const worker = start('never stop');
      await once(worker, 'message');
      // At a different point of its work each time.
      await delay(i % 5);
      exitCodes.push(await worker.terminate());
    }
    return exitCodes;
  },

  async 'process.exit in a worker'() {
    const worker = start('exit while signing');
    const [exitCode] = await once(worker, 'exit');
    return exitCode;
  },
};

const jobs = {
  async 'sign ten times'(store) {
    const proofs = await Promise.all(Array.from({ length: 10 }, () => store.sign(params)));
    parentPort.postMessage({ signed: proofs.length });
  },

  // Listings as well, because they are delivered faster than signatures can be made.
  async 'never stop'(store) {
    const again = (operation) => operation().finally(() => again(operation));
    for (let i = 0; i < 100; i += 1) void again(() => store.list());
    for (let i = 0; i < 100; i += 1) void again(() => store.sign(params));
    setImmediate(() => parentPort.postMessage('running'));
  },

  async 'exit while signing'(store) {
    for (let i = 0; i < 100; i += 1) void store.sign(params).then(() => process.exit(7));
  },
};

if (isMainThread) {
  scenarios[input.scenario]().then((result) => console.log(JSON.stringify(result)));
} else {
  // Here and not above, because a worker must be the first to load the addon.
  const { DeviceKeyStore } = require('node-device-key');
  void jobs[workerData.job](DeviceKeyStore.open(options));
}
