// npm run bench. Compare the ratios of medians within one part; absolute figures depend on the
// machine.
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';

import { chart } from './chart.mjs';
import { labelOf } from './contenders/index.mjs';
import { flight } from './parts/flight.mjs';
import { pure } from './parts/pure.mjs';
import { scale } from './parts/scale.mjs';
import { start } from './parts/start.mjs';
import { turns } from './parts/turns.mjs';
import { labels as verifiers, verify } from './parts/verify.mjs';
import { machine } from './support/machine.mjs';
import { cache, root } from './support/paths.mjs';
import { targets } from './targets.mjs';

const parts = { turns, pure, flight, start, scale, verify };

const usage = `usage: npm run bench -- [--quick] [PART...]

Measures on software TPMs, prints tables, and writes .cache/bench/results.json and
docs/performance.svg. Parts, all unless named, each below four minutes:
  turns   all contenders side by side: sign, create, and what they are made of
  pure    what waits for nothing, under Google Benchmark
  flight  many signatures at once: throughput, event loop, memory; refusals of the app-server
  start   require, opening a store, the first signature, the size of the addon
  scale   stores of 10 to 10,000 keys
  verify  proofs in a backend: beside other libraries, and on one core and two

  --quick  about a tenth of the rounds; results go to results-quick.json, the chart stays as it is
  --help   this text
Parts that were not measured now are taken from the results of an earlier run, with its date.`;

function options() {
  const { values, positionals } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h' },
    },
    allowPositionals: true,
  });
  const unknown = positionals.find((name) => !Object.hasOwn(parts, name));
  if (unknown) throw new Error(`there is no part "${unknown}"`);
  return { ...values, chosen: positionals.length > 0 ? positionals : Object.keys(parts) };
}

async function measure(name, quick) {
  await mkdir(cache, { recursive: true });
  // On the disk of the checkout: creating a key includes making its record durable, and /tmp is in
  // memory on many machines.
  const directories = {
    disk: await mkdtemp(path.join(cache, 'run-')),
    tmpfs: await mkdtemp('/dev/shm/device-key-bench-'),
  };
  const at = new Date().toISOString();
  const load = os.loadavg()[0];
  try {
    return { at, load, machine: machine(), ...(await parts[name](directories, quick)) };
  } finally {
    for (const directory of Object.values(directories)) await rm(directory, { recursive: true });
  }
}

async function resultsSoFar(file) {
  try {
    return JSON.parse(await readFile(file, 'utf8'));
  } catch {
    return {};
  }
}

function print({
  turns: side,
  pure: alone,
  flight: many,
  start: first,
  scale: sizes,
  verify: backend,
}) {
  const title = (text, { at, load }) =>
    console.log(`\n${text}  [${at}, load average ${load.toFixed(1)}]`);
  const figures = (part) =>
    Object.fromEntries(
      Object.entries(part).filter(([name]) => !['at', 'load', 'machine'].includes(name)),
    );
  for (const [operation, byContender] of Object.entries(side?.operations ?? {})) {
    title(`${operation}, µs`, side);
    const floor = (byContender.bare ?? byContender.bareOneCore)?.median;
    const rows = Object.entries(byContender).map(([name, row]) => [
      labelOf(name),
      floor ? { ...row, '× bare': Math.round((row.median / floor) * 100) / 100 } : row,
    ]);
    console.table(Object.fromEntries(rows));
  }
  if (alone) {
    title('pure parts, CPU µs', alone);
    console.table(figures(alone));
  }
  if (many) {
    title('in flight', many);
    console.table(many.depths);
    console.log(`RSS after each round, MiB: ${many.rssMiB.join(' ')}`);
  }
  if (first) {
    title('start of a process', first);
    console.table(figures(first));
  }
  for (const [operation, bySize] of Object.entries(sizes ? figures(sizes) : {})) {
    title(`${operation}, by number of keys, µs`, sizes);
    console.table(bySize);
  }
  if (backend) {
    title('verification of one proof, CPU µs', backend);
    const floor = backend.oneAtATime.bare.median;
    const rows = Object.entries(backend.oneAtATime).map(([name, row]) => [
      verifiers[name],
      { ...row, '× bare': Math.round((row.median / floor) * 100) / 100 },
    ]);
    console.table(Object.fromEntries(rows));
    title('verification, 64 proofs in flight', backend);
    console.table(backend.manyAtOnce);
  }
}

async function main({ quick, chosen }) {
  const file = path.join(cache, quick ? 'results-quick.json' : 'results.json');
  const results = await resultsSoFar(file);
  for (const name of chosen) {
    console.error(`bench: ${name}`);
    results[name] = await measure(name, quick);
  }
  print(results);
  results.targets = targets(results);
  console.log('\ntargets');
  console.table(results.targets);
  await writeFile(file, `${JSON.stringify(results, null, 2)}\n`);
  if (!quick && results.turns) {
    await writeFile(path.join(root, 'docs/performance.svg'), chart(results.turns));
  }
}

try {
  const chosen = options();
  if (chosen.help) console.log(usage);
  else await main(chosen);
} catch (error) {
  console.error(`bench: ${error.message}`);
  if (process.env.DEBUG) console.error(error.stack);
  process.exitCode = 1;
}
