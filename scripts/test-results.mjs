// Sums up result files: `node scripts/test-results.mjs [--total] FILE...`, each a JUnit report of
// ctest or GoogleTest (.xml), a JSON report of Jest (.json) or a list of scripts/lint (.txt).
//
// Prints a line for each file, and for each failed test its name and the beginning of its message; with
// --total a last line "N passed, N failed". A missing file counts as one failure, because its runner did not
// finish. Exits with 1 when anything failed or nothing passed.
import { existsSync, readFileSync } from 'node:fs';
import { basename, extname, relative } from 'node:path';
import { parseArgs, stripVTControlCharacters } from 'node:util';

const readers = {
  '.xml': (text) => {
    // ctest writes one <testsuite>; GoogleTest writes several, in a <testsuites>.
    const count = (name) =>
      [...text.matchAll(new RegExp(`<testsuite\\s[^>]*?\\b${name}="(\\d+)"`, 'g'))]
        .map(([, number]) => Number(number))
        .reduce((sum, number) => sum + number, 0);
    const failed = count('failures');
    const skipped = count('skipped') + count('disabled');
    const failures = [...text.matchAll(/<testcase ([^>]*)>\s*<failure message="([^"]*)"/g)].map(
      ([, attributes, message]) => `${/name="([^"]*)"/.exec(attributes)?.[1]}\n${message}`,
    );
    return { passed: count('tests') - failed - skipped, failed, skipped, failures };
  },
  '.json': (text) => {
    const report = JSON.parse(text);
    const failures = report.testResults.flatMap(({ name, status, message, failedAtFirst }) => {
      const file = relative('.', name);
      if (status === 'failed') return [`${file}\n${stripVTControlCharacters(message)}`];
      return failedAtFirst ? [`${file} failed at first and passed when it ran again, alone`] : [];
    });
    return {
      failures,
      passed: report.numPassedTests,
      // A file that cannot be loaded fails without a single failed test.
      failed: report.numFailedTests + report.numRuntimeErrorTestSuites,
      skipped: report.numPendingTests + report.numTodoTests,
    };
  },
  '.txt': (text) => ({
    passed: text.match(/^passed /gm)?.length ?? 0,
    failed: text.match(/^failed /gm)?.length ?? 0,
    skipped: 0,
    failures: text.match(/^failed .*/gm) ?? [],
  }),
};

const { values, positionals } = parseArgs({
  options: { total: { type: 'boolean' } },
  allowPositionals: true,
});
const total = { passed: 0, failed: 0 };
for (const file of positionals) {
  const complete = existsSync(file);
  const sum = complete
    ? readers[extname(file)](readFileSync(file, 'utf8'))
    : { passed: 0, failed: 1, skipped: 0, failures: [] };
  const runner = basename(file, extname(file));
  const note = complete ? `${sum.skipped} skipped` : 'it did not finish';
  console.log(`${runner}: ${sum.passed} passed, ${sum.failed} failed (${note})`);
  for (const failure of sum.failures) console.log(failure.split('\n').slice(0, 40).join('\n'));
  total.passed += sum.passed;
  total.failed += sum.failed;
}
if (values.total) console.log(`${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0;
