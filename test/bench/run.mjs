// npm run bench: everything in one run, the contenders taking turns, so that what else the machine
// does falls on all of them alike. Ratios of medians are what to compare; absolute figures are this
// machine's.
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { chart } from './chart.mjs';
import * as contenders from './contenders.mjs';
import { flightMeasurements, startMeasurements } from './more-measurements.mjs';
import { pureParts } from './pure-parts.mjs';
import { summary } from './statistics.mjs';
import { targets } from './targets.mjs';

const quick = process.argv.includes('--quick');
const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '../..');
const cache = path.join(root, '.cache/bench');

// Which operation of which contender is timed, how often in each round. In batches, as what a
// process finds in the caches after another's turn is not what it has when it is at work.
const plan = [
  ['softwareKey', 'sign', 50],
  ['softwareKey', 'create', 5],
  ['bare', 'sign', 50],
  ['nativeStore', 'sign', 50],
  ['nodeApi', 'sign', 50],
  ['appServer', 'sign', 50],
  ['tpm2Pkcs11', 'sign', 10],
  ['tpm2Tools', 'sign', 1],
  ['signProcess', 'sign', 1],
  ['bare', 'loadSignFlush', 50],
  ['nativeStore', 'sign16', 50],
  ['nodeApi', 'sign16', 50],
  ['bare', 'create', 5],
  ['bare', 'createSalted', 5],
  ['nativeStore', 'create', 5],
  ['nodeApi', 'create', 5],
  ['appServer', 'create', 5],
  ['tpm2Tools', 'create', 1],
  ['nodeApi', 'public', 50],
  ['appServer', 'refused', 100],
];
const rounds = quick ? 4 : 40;

async function openAll(directory) {
  const open = {};
  const skipped = {};
  for (const name of new Set(plan.map(([contender]) => contender))) {
    try {
      open[name] = await contenders[name](path.join(directory, name));
    } catch (error) {
      // Somebody else's software may be missing; what is ours must run.
      if (name !== 'tpm2Pkcs11' && name !== 'tpm2Tools') throw error;
      skipped[name] = error.message.split('\n')[0];
      console.error(`left out: ${name}: ${error.message}`);
    }
  }
  return { open, skipped };
}

async function takeTurns(open) {
  const times = new Map(plan.map((entry) => [entry, []]));
  for (let round = 0; round <= rounds; round += 1) {
    for (const entry of plan) {
      const [contender, operation, count] = entry;
      if (!open[contender]) continue;
      const measured = await open[contender].run(operation, count);
      if (round > 0) times.get(entry).push(...measured); // the first one warms up
    }
  }
  const results = {};
  for (const [[contender, operation], measured] of times) {
    if (measured.length > 0) (results[operation] ??= {})[contender] = summary(measured);
  }
  return results;
}

function machine() {
  const version = (command, ...args) => {
    try {
      return execFileSync(command, args, { encoding: 'utf8' }).split('\n')[0].trim();
    } catch {
      return null;
    }
  };
  return {
    cpu: os.cpus()[0].model,
    cores: os.cpus().length,
    kernel: os.release(),
    node: process.version,
    swtpm: version('swtpm', '--version'),
    tpm2Tss: version('pkg-config', '--modversion', 'tss2-esys'),
    load: os.loadavg().map((value) => Math.round(value * 100) / 100),
  };
}

function print(results) {
  for (const [operation, byContender] of Object.entries(results)) {
    console.log(`\n${operation}, microseconds`);
    console.table(byContender);
  }
}

async function main(directory) {
  const { open, skipped } = await openAll(directory);
  let operations;
  let flight;
  try {
    operations = await takeTurns(open);
    flight = await flightMeasurements(open.appServer, path.join(directory, 'flight'), quick);
  } finally {
    for (const contender of Object.values(open)) await contender.stop();
  }
  print(operations);
  const pure = pureParts(cache, quick);
  console.log('\npure parts, microseconds');
  console.table(pure);
  const start = await startMeasurements(path.join(directory, 'start'), quick);
  const results = { machine: machine(), skipped, operations, pure, flight, start };
  results.targets = targets(results);
  console.table(flight);
  console.table(start);
  console.log('\ntargets');
  console.table(results.targets);

  await mkdir(cache, { recursive: true });
  await writeFile(path.join(cache, 'results.json'), `${JSON.stringify(results, null, 2)}\n`);
  if (!quick) await writeFile(path.join(root, 'docs/performance.svg'), chart(results));
}

// On the disk that holds the checkout: creating a key includes making its record durable, and /tmp
// is memory on many machines.
await mkdir(cache, { recursive: true });
const directory = await mkdtemp(path.join(cache, 'run-'));
try {
  await main(directory);
} finally {
  await rm(directory, { recursive: true });
}
