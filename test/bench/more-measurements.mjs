// What is not one operation after the other: many at once, and the start of a process.
import { execFile } from 'node:child_process';
import { mkdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { DeviceKeyStore } from 'node-device-key';

import { owner, payload } from './payload.mjs';
import { startSoftwareTpm } from './software-tpm.mjs';
import { median } from './statistics.mjs';

const execute = promisify(execFile);
const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '../..');
const rounded = (value) => Math.round(value * 100) / 100;

/** Keeps `inFlight` calls of `operation` going for `ms`; resolves to calls per second. */
async function rate(operation, inFlight, ms) {
  let done = 0;
  const end = performance.now() + ms;
  const start = performance.now();
  const stream = async () => {
    while (performance.now() < end) {
      await operation();
      done += 1;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, stream));
  return done / ((performance.now() - start) / 1000);
}

/** Refused requests of an app-server, and signatures of one store, at several depths. */
export async function flightMeasurements(server, directory, quick) {
  const slice = quick ? 300 : 700;
  const rounds = quick ? 2 : 5;
  const depths = [1, 64, 1024];
  const rates = Object.fromEntries(depths.map((depth) => [depth, []]));
  const loopP99 = Object.fromEntries(depths.map((depth) => [depth, []]));
  const idleP99 = [];
  const refused = [];
  const memory = [];
  const tpm = await startSoftwareTpm();
  const store = DeviceKeyStore.open({ directory, tcti: tpm.tcti, allowSimulator: true });
  try {
    const { keyId } = await store.create(owner);
    const fixed = payload();
    const sign = () => store.sign({ keyId, payload: fixed });
    await rate(sign, 1024, slice); // once around, so that memory has its lasting size
    const observed = async (work, p99s) => {
      const loop = monitorEventLoopDelay({ resolution: 1 });
      loop.enable();
      const result = await work();
      loop.disable();
      p99s.push(loop.percentile(99) / 1e6);
      return result;
    };
    for (let round = 0; round < rounds; round += 1) {
      await observed(() => delay(slice), idleP99);
      for (const depth of depths) {
        rates[depth].push(await observed(() => rate(sign, depth, slice), loopP99[depth]));
      }
      memory.push(process.memoryUsage().rss);
      refused.push(await rate(server.operations.refused, 32, slice));
    }
  } finally {
    await store.close();
    await tpm.stop();
  }
  return {
    ...Object.fromEntries(
      depths.flatMap((depth) => [
        [`signatures/s, ${depth} in flight`, rounded(median(rates[depth]))],
        [`event loop p99 ms, ${depth} in flight`, rounded(median(loopP99[depth]))],
      ]),
    ),
    'event loop p99 ms, idle': rounded(median(idleP99)),
    'MiB RSS grown between rounds': rounded((memory.at(-1) - memory[0]) / 2 ** 20),
    'app-server refused/s, 32 in flight': Math.round(median(refused)),
  };
}

// `require` in a process of its own, and the first signature there.
const firstUse = `
  const { performance } = require('node:perf_hooks');
  const [directory, tcti, keyId, payload] = process.argv.slice(1);
  gc();
  const rss = process.memoryUsage().rss;
  const start = performance.now();
  const { DeviceKeyStore } = require(${JSON.stringify(root)});
  const required = performance.now();
  const grown = process.memoryUsage().rss - rss;
  const opened = DeviceKeyStore.open({ directory, tcti, allowSimulator: true });
  const loaded = performance.now();
  opened.sign({ keyId, payload: JSON.parse(payload) }).then(() => {
    const signed = performance.now();
    console.log(JSON.stringify([required - start, grown / 2 ** 20, loaded - required, signed - loaded]));
  });`;

export async function startMeasurements(directory, quick) {
  const tpm = await startSoftwareTpm();
  try {
    await mkdir(directory, { mode: 0o700 });
    const store = DeviceKeyStore.open({ directory, tcti: tpm.tcti, allowSimulator: true });
    const { keyId } = await store.create(owner);
    await store.close();
    const runs = [];
    for (let i = 0; i < (quick ? 5 : 31); i += 1) {
      const { stdout } = await execute(process.execPath, [
        ...['--expose-gc', '-e', firstUse],
        ...[directory, tpm.tcti, keyId, JSON.stringify(payload())],
      ]);
      runs.push(JSON.parse(stdout));
    }
    const column = (index) => rounded(median(runs.map((run) => run[index])));
    const binary = path.join(directory, 'stripped.node');
    await execute('strip', [
      ...['--strip-all', '-o', binary, path.join(root, 'build/Release/device_key.node')],
    ]);
    return {
      'require, ms': column(0),
      'require, MiB RSS': column(1),
      'load the addon and open a store, ms': column(2),
      'first signature after that, ms': column(3),
      'addon, stripped, MiB': rounded((await stat(binary)).size / 2 ** 20),
    };
  } finally {
    await tpm.stop();
  }
}
