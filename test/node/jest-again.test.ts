// scripts/jest-again.mjs: which failed files run a second time, and what the report says then.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const root = path.join(__dirname, '../..');

interface TestFile {
  name: string;
  status: 'passed' | 'failed';
  failedAtFirst?: boolean;
  assertionResults: { status: string }[];
}

interface Report {
  success: boolean;
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
  numRuntimeErrorTestSuites: number;
  testResults: TestFile[];
}

/** A file with two tests: the first passes, the second one only if the file passes. */
function testFile(name: string, status: TestFile['status']): TestFile {
  return {
    name: path.join(root, name),
    status,
    assertionResults: [{ status: 'passed' }, { status }],
  };
}

const unloadable = (name: string): TestFile => ({
  ...testFile(name, 'failed'),
  assertionResults: [],
});

function report(...testResults: TestFile[]): Report {
  const tests = testResults.flatMap(({ assertionResults }) => assertionResults);
  const count = (wanted: string) => tests.filter(({ status }) => status === wanted).length;
  return {
    success: testResults.every(({ status }) => status === 'passed'),
    ...{ numPassedTests: count('passed'), numFailedTests: count('failed') },
    ...{ numPendingTests: 0, numTodoTests: 0 },
    numRuntimeErrorTestSuites: testResults.filter((file) => file.assertionResults.length === 0)
      .length,
    testResults,
  };
}

let directory: string;
let file: string;
let secondRun: string;

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'dk-jest-again-'));
  file = path.join(directory, 'report.json');
  secondRun = path.join(directory, 'second-run.json');
});
afterEach(() => rmSync(directory, { recursive: true }));

interface Outcome {
  status: number | null;
  stderr: string;
  /** What Jest was told to run; null if it was not started. */
  ran: string[] | null;
  merged: Report;
}

/** Runs the script with the report `first`, and a stand-in for Jest that reports `second`. */
function runAgain(first: Report, second: Report): Outcome {
  const jest = path.join(directory, 'jest.cjs');
  writeFileSync(
    jest,
    `const { writeFileSync } = require('node:fs');
     const output = process.argv.find((argument) => argument.startsWith('--outputFile='));
     const files = process.argv.slice(process.argv.indexOf('--runTestsByPath') + 1);
     writeFileSync(${JSON.stringify(secondRun)}, JSON.stringify(files));
     writeFileSync(output.slice('--outputFile='.length), ${JSON.stringify(JSON.stringify(second))});`,
  );
  writeFileSync(file, JSON.stringify(first));
  const script = path.join(root, 'scripts/jest-again.mjs');
  const { status, stderr } = spawnSync(process.execPath, [script, file, process.execPath, jest], {
    cwd: root,
    encoding: 'utf8',
  });
  const ran = existsSync(secondRun)
    ? (JSON.parse(readFileSync(secondRun, 'utf8')) as string[])
    : null;
  return { status, stderr, ran, merged: JSON.parse(readFileSync(file, 'utf8')) as Report };
}

const summary = ({ numPassedTests, numFailedTests, numRuntimeErrorTestSuites }: Report) => ({
  ...{ passed: numPassedTests, failed: numFailedTests, unloadable: numRuntimeErrorTestSuites },
});

test('a failed file runs once more, and its second result counts', () => {
  const { status, ran, merged } = runAgain(
    report(testFile('test/node/a.test.ts', 'passed'), testFile('test/node/b.test.ts', 'failed')),
    report(testFile('test/node/b.test.ts', 'passed')),
  );
  expect({ status, ran }).toEqual({ status: 0, ran: ['test/node/b.test.ts'] });
  expect(summary(merged)).toEqual({ passed: 4, failed: 0, unloadable: 0 });
  expect(merged.testResults[1]).toMatchObject({ status: 'passed', failedAtFirst: true });
});

test('a file that fails twice stays failed', () => {
  const b = testFile('test/node/b.test.ts', 'failed');
  const { status, merged } = runAgain(report(b), report(b));
  expect(status).toBe(1);
  expect(summary(merged)).toEqual({ passed: 1, failed: 1, unloadable: 0 });
});

test('a failed file below test/faults never runs again', () => {
  const first = report(
    testFile('test/node/a.test.ts', 'passed'),
    testFile('test/faults/crash.test.ts', 'failed'),
  );
  const { status, stderr, ran, merged } = runAgain(
    first,
    report(testFile('test/faults/crash.test.ts', 'passed')),
  );
  expect({ status, ran }).toEqual({ status: 1, ran: null });
  expect(stderr).toBe('jest-again: stays failed, never runs again: test/faults/crash.test.ts\n');
  expect(merged).toEqual(first);
});

test('another file that failed beside it runs again alone, and the whole stays failed', () => {
  const { status, ran, merged } = runAgain(
    report(
      testFile('test/faults/crash.test.ts', 'failed'),
      unloadable('test/faults/disk.test.ts'),
      testFile('test/node/b.test.ts', 'failed'),
      unloadable('test/node/c.test.ts'),
    ),
    report(testFile('test/node/b.test.ts', 'passed'), testFile('test/node/c.test.ts', 'passed')),
  );
  expect({ status, ran }).toEqual({
    status: 1,
    ran: ['test/node/b.test.ts', 'test/node/c.test.ts'],
  });
  expect(summary(merged)).toEqual({ passed: 5, failed: 1, unloadable: 1 });
  expect(merged.testResults.map(({ name, status: is }) => [path.basename(name), is])).toEqual([
    ['crash.test.ts', 'failed'],
    ['disk.test.ts', 'failed'],
    ['b.test.ts', 'passed'],
    ['c.test.ts', 'passed'],
  ]);
});

test('more than five failed files are no accident: none runs again', () => {
  const failed = Array.from({ length: 6 }, (_, i) => testFile(`test/node/${i}.test.ts`, 'failed'));
  const { status, ran } = runAgain(report(...failed), report());
  expect({ status, ran }).toEqual({ status: 1, ran: null });
});
