// Runs the files that failed once more, one at a time, and puts the result into the report:
//
//   node scripts/jest-again.mjs REPORT JEST ARGUMENT...
//
// REPORT is the JSON report of a first run. A test that misses a time limit on a busy machine passes when nothing
// runs beside it. The output names each file that failed at first. More than five failed files are no accident:
// then nothing runs again.
//
// A file below test/faults stays failed: it looks for keys that are lost at rare moments, and a second run
// would rarely meet the same moment.
//
// Exits with 0 when every file has passed now.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const mostFiles = 5;
const runsOnce = 'test/faults/';

const [report, command, ...options] = process.argv.slice(2);
if (command === undefined) {
  console.error('usage: node scripts/jest-again.mjs REPORT JEST ARGUMENT...');
  process.exit(2);
}
const first = readReport(report);
const relative = ({ name }) => path.relative('.', name);
const failed = first.testResults.filter(({ status }) => status === 'failed');
const kept = failed.filter((file) => relative(file).startsWith(runsOnce));
const repeated = failed.filter((file) => !kept.includes(file));
for (const file of kept)
  console.error(`jest-again: stays failed, never runs again: ${relative(file)}`);
if (repeated.length === 0 || failed.length > mostFiles) process.exit(1);

const files = repeated.map(relative);
console.error(`jest-again: once more, one at a time: ${files.join(' ')}`);
const again = `${report}.again`;
rmSync(again, { force: true });
spawnSync(
  command,
  [...options, '--runInBand', '--json', `--outputFile=${again}`, '--runTestsByPath', ...files],
  { stdio: ['ignore', 'ignore', 'inherit'] },
);
const second = readReport(again);
rmSync(again);

const tests = (status) =>
  repeated
    .flatMap(({ assertionResults }) => assertionResults)
    .filter((test) => test.status === status).length;
// A file that cannot be loaded has no tests.
const unloadable = repeated.filter(({ assertionResults }) => assertionResults.length === 0).length;
const merged = {
  ...first,
  numPassedTests: first.numPassedTests - tests('passed') + second.numPassedTests,
  numFailedTests: first.numFailedTests - tests('failed') + second.numFailedTests,
  numPendingTests: first.numPendingTests - tests('pending') + second.numPendingTests,
  numRuntimeErrorTestSuites:
    first.numRuntimeErrorTestSuites - unloadable + second.numRuntimeErrorTestSuites,
  testResults: [
    ...first.testResults.filter((file) => !repeated.includes(file)),
    ...second.testResults.map((file) => ({ ...file, failedAtFirst: true })),
  ],
};
writeFileSync(report, JSON.stringify(merged));
process.exit(second.success && kept.length === 0 ? 0 : 1);

function readReport(file) {
  if (!existsSync(file)) {
    console.error(`jest-again: Jest did not write ${file}`);
    process.exit(1);
  }
  return JSON.parse(readFileSync(file, 'utf8'));
}
