// Many operations at once: throughput, delays of the event loop and of libuv's pool, and memory.
import { stat } from 'node:fs/promises';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';

import { DeviceKeyStore } from 'node-device-key';

import { openContender } from '../contenders/index.mjs';
import { owner, payload } from '../support/payload.mjs';
import { startSoftwareTpm } from '../support/software-tpm.mjs';
import { median, quantile, rounded } from '../support/statistics.mjs';

const depths = [1, 64, 1024];

/** Keeps `inFlight` calls of `operation` running for `ms`; resolves to calls per second. */
async function rate(operation, inFlight, ms) {
  let done = 0;
  const start = performance.now();
  const end = start + ms;
  const stream = async () => {
    while (performance.now() < end) {
      await operation();
      done += 1;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, stream));
  return done / ((performance.now() - start) / 1000);
}

/** The 99th percentiles, in milliseconds, of the event loop's delay and of fs.stat during `work`. */
async function observe(work) {
  const loop = monitorEventLoopDelay({ resolution: 1 });
  const stats = [];
  let over = false;
  const watch = (async () => {
    while (!over) {
      const start = performance.now();
      await stat('/');
      stats.push(performance.now() - start);
      await delay(5);
    }
  })();
  loop.enable();
  const result = await work();
  loop.disable();
  over = true;
  await watch;
  return { result, loopP99: loop.percentile(99) / 1e6, statP99: quantile(stats, 0.99) };
}

async function signatures(directory, quick) {
  const slice = quick ? 300 : 1000;
  const rounds = quick ? 2 : 7;
  const idle = [];
  const busy = Object.fromEntries(depths.map((depth) => [depth, []]));
  const memory = [];
  const tpm = await startSoftwareTpm();
  const store = DeviceKeyStore.open({ directory, tcti: tpm.tcti, allowSimulator: true });
  try {
    const { keyId } = await store.create(owner);
    const fixed = payload();
    const sign = () => store.sign({ keyId, payload: fixed });
    await rate(sign, 1024, 2 * slice); // warm-up, so that memory reaches its final size
    for (let round = 0; round < rounds; round += 1) {
      idle.push(await observe(() => delay(slice)));
      for (const depth of depths) busy[depth].push(await observe(() => rate(sign, depth, slice)));
      memory.push(process.memoryUsage().rss);
    }
  } finally {
    await store.close();
    await tpm.stop();
  }
  const row = (observed) => ({
    'signatures/s': Math.round(median(observed.map(({ result }) => result))) || undefined,
    'loop p99, ms': rounded(median(observed.map(({ loopP99 }) => loopP99))),
    'fs.stat p99, ms': rounded(median(observed.map(({ statP99 }) => statP99))),
  });
  return {
    depths: {
      idle: row(idle),
      ...Object.fromEntries(depths.map((depth) => [depth, row(busy[depth])])),
    },
    rssMiB: memory.map((bytes) => rounded(bytes / 2 ** 20)),
  };
}

async function refusals(directories, quick) {
  const server = await openContender('appServer', directories);
  try {
    const rates = [];
    for (let round = 0; round < (quick ? 3 : 9); round += 1) {
      rates.push(await rate(server.operations.refused, 32, quick ? 300 : 1000));
    }
    return Math.round(median(rates.slice(1))); // the first one is a warm-up
  } finally {
    await server.stop();
  }
}

export async function flight(directories, quick) {
  return {
    ...(await signatures(`${directories.disk}/flight`, quick)),
    refusedPerSecond: await refusals(directories, quick),
  };
}
