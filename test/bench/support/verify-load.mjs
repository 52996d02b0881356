// A process that verifies proofs under load. A line `<seen|unseen> <in flight> <milliseconds>` in, a line of
// JSON out; `taskset` decides how many cores it has.
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import { setImmediate as turn } from 'node:timers/promises';

import { verifyDeviceKeyProof } from 'node-device-key/verify';

import { acceptAll, newProof } from './proofs.mjs';

// More keys than the verifier remembers: used in rotation, none is remembered when it comes again.
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
      await turn(); // as a request that comes by the network
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
