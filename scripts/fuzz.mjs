// Runs the fuzz targets of test/fuzz: `npm run fuzz -- [--minutes N] [TARGET...]`.
//
// Builds them in build-fuzz/ with clang, libFuzzer, AddressSanitizer and
// UndefinedBehaviorSanitizer. Runs each for its share of N minutes (default 1), on all processors.
// libFuzzer's new inputs go to .cache/fuzz/corpus/<target>, and the next run starts with them.
// Prints a table. If there is a finding, the exit status is 1, and its input is kept in
// .cache/fuzz/findings.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

process.chdir(join(import.meta.dirname, '..'));
const build = 'build-fuzz';
const known = readdirSync('test/fuzz')
  .filter((file) => file.endsWith('_fuzz.cc'))
  .map((file) => file.slice(0, -'_fuzz.cc'.length));

const { values, positionals } = parseArgs({
  options: { minutes: { type: 'string', default: '1' } },
  allowPositionals: true,
});
const minutes = Number(values.minutes);
const targets = positionals.length > 0 ? positionals : known;
const unknown = targets.filter((target) => !known.includes(target));
if (!(minutes > 0) || unknown.length > 0) {
  console.error('usage: npm run fuzz -- [--minutes N] [TARGET...]');
  console.error(`The targets are ${known.join(', ')}.`);
  process.exit(2);
}

function buildTargets() {
  const run = (command, args) =>
    execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  const openssl = run('scripts/openssl/build-instrumented', []).trim();
  const settings = [
    'CMAKE_CXX_COMPILER=clang++',
    'CMAKE_BUILD_TYPE=Debug',
    'CMAKE_CXX_FLAGS_DEBUG=-O1 -gline-tables-only',
    'DEVICE_KEY_FUZZ=ON',
    `OPENSSL_INCLUDE_DIR=${openssl}/include`,
    `OPENSSL_CRYPTO_LIBRARY=${openssl}/lib/libcrypto.a`,
  ];
  run('cmake', [
    '-S',
    '.',
    '-B',
    build,
    '-G',
    'Ninja',
    ...settings.map((setting) => `-D${setting}`),
  ]);
  try {
    run('cmake', [
      '--build',
      build,
      ...targets.flatMap((target) => ['--target', `${target}_fuzz`]),
    ]);
  } catch (error) {
    console.error(error.stdout);
    process.exit(1);
  }
}

// Runs one target. Resolves to a row of the table.
async function fuzz(target, seconds) {
  const corpus = `.cache/fuzz/corpus/${target}`;
  const findings = `.cache/fuzz/findings/${target}`;
  mkdirSync(corpus, { recursive: true });
  mkdirSync(findings, { recursive: true });
  const dictionary = `test/fuzz/${target}.dict`;
  const child = spawn(
    `${build}/test/fuzz/${target}_fuzz`,
    [
      `-max_total_time=${seconds}`,
      // Twice the maximum that any reader accepts.
      `-max_len=${2 << 20}`,
      '-timeout=60',
      '-print_final_stats=1',
      `-artifact_prefix=${findings}/`,
      ...(existsSync(dictionary) ? [`-dict=${dictionary}`] : []),
      corpus,
      `test/fuzz/seeds/${target}`,
    ],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
      // One input allocates little: 16 MiB keep all memory that it freed out of reuse. The smaller
      // quarantine and shorter stacks of allocations make a run about a quarter faster.
      env: { ASAN_OPTIONS: 'quarantine_size_mb=16:malloc_context_size=4', ...process.env },
    },
  );
  let output = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (output += text));
  const status = await new Promise((resolve, reject) => {
    child.on('error', reject).on('close', resolve);
  });
  const stat = (name) => Number(output.match(new RegExp(`stat::${name}:\\s+(\\d+)`))?.[1] ?? 0);
  const input = output.match(/Test unit written to (\S+)/)?.[1];
  if (status !== 0) console.error(output.split('\n').slice(-80).join('\n'));
  return {
    target,
    runs: stat('number_of_executed_units'),
    'runs per second': stat('average_exec_per_sec'),
    result: status === 0 ? 'no finding' : `FINDING: ${input ?? `status ${status}`}`,
    failed: status !== 0,
  };
}

const results = '.cache/results/fuzz.txt';
mkdirSync('.cache/results', { recursive: true });
rmSync(results, { force: true });
buildTargets();

const processors = Math.min(availableParallelism(), targets.length);
const seconds = Math.max(1, Math.round((minutes * 60 * processors) / targets.length));
const rows = [];
const waiting = [...targets];
await Promise.all(
  Array.from({ length: processors }, async () => {
    for (let target; (target = waiting.shift());) rows.push(await fuzz(target, seconds));
  }),
);
console.table(rows.map(({ failed: _, ...row }) => row));
console.log(`${rows.reduce((sum, { runs }) => sum + runs, 0)} runs in all`);
writeFileSync(
  results,
  rows.map(({ target, failed }) => `${failed ? 'failed' : 'passed'} ${target}\n`).join(''),
);
process.exitCode = rows.some(({ failed }) => failed) ? 1 : 0;
