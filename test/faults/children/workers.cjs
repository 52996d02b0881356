// Keeps a number of worker threads busy with keys of one store. Terminates and replaces one after
// the other until the time is over. Prints how many were started.
const { Worker, isMainThread, workerData } = require('node:worker_threads');
const { setTimeout: sleep } = require('node:timers/promises');
const { DeviceKeyStore } = require('node-device-key');

async function work({ options, payload }) {
  const store = DeviceKeyStore.open(options);
  const { accountUserId, clientId } = payload;
  for (;;) {
    const { keyId } = await store.create({ accountUserId, clientId });
    await Promise.all([store.sign({ keyId, payload }), store.list(), store.public({ keyId })]);
    await store.delete({ keyId });
  }
}

async function main() {
  const input = JSON.parse(process.argv[2]);
  const start = () => {
    const worker = new Worker(__filename, { workerData: input });
    worker.on('error', (error) => {
      throw error;
    });
    return worker;
  };
  const workers = Array.from({ length: input.threads }, start);
  let started = workers.length;
  const end = Date.now() + input.seconds * 1000;
  while (Date.now() < end) {
    await sleep(Math.random() * 200);
    const i = Math.floor(Math.random() * workers.length);
    await workers[i].terminate();
    workers[i] = start();
    started += 1;
  }
  await Promise.all(workers.map((worker) => worker.terminate()));
  console.log(JSON.stringify(started));
}

if (isMainThread) void main();
else void work(workerData);
