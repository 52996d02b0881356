// A process that verifies proofs under load. Reads lines `<seen|unseen> <in flight> <milliseconds>`
// and prints a line of JSON for each; `taskset` sets its cores.
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import { setImmediate as turn } from 'node:timers/promises';

import { verifyDeviceKeyProof } from 'node-device-key/verify';

import { acceptAll, newProof } from './proofs.mjs';

// More keys than the verifier caches: used in rotation, no key is in the cache when it is used
// again.
const many = Array.from({ length: 10_500 }, newProof);
const proofs = { seen: many.slice(0, 1), unseen: many };
let next = 0;

async function load(set, inFlight, ms) {
  const loop = monitorEventLoopDelay({ resolution: 1 });
  let done = 0;
  const start = performance.now();
  const end = start + ms;
  const stream = async () => {
    while (performance.now() < end) {
      const { proof, expected } = set[next++ % set.length];
      await verifyDeviceKeyProof(proof, expected, acceptAll);
      done += 1;
      await turn(); // like a request from the network
    }
  };
  loop.enable();
  await Promise.all(Array.from({ length: inFlight }, stream));
  loop.disable();
  const seconds = (performance.now() - start) / 1000;
  return { perSecond: done / seconds, loopP99: loop.percentile(99) / 1e6 };
}

console.log('ready');
for await (const line of createInterface({ input: process.stdin })) {
  const [name, inFlight, ms] = line.split(' ');
  console.log(JSON.stringify(await load(proofs[name], Number(inFlight), Number(ms))));
}
