// Runs the tests that need nothing but Node.js, a C++ compiler and what `npm ci && npm run build:all` left: on
// any system. Arguments are Jest's. The GoogleTest suites run where CMake and GoogleTest are installed; when
// CI is set, these have to be.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';

const root = path.join(import.meta.dirname, '..');
const build = path.join(root, 'build-cmake');
// The rooms without hardware, whose tests are the same on every system.
const suites = ['crypto', 'protocol', 'platform'].map((room) => `${room}_tests`);

const run = (program, args, options = {}) =>
  spawnSync(program, args, { cwd: root, stdio: 'inherit', ...options });

/** Why the suites cannot be built here; undefined once CMake is configured. */
function obstacle() {
  const { VCPKG_TARGET_TRIPLET: triplet } = process.env;
  const { status, error, stdout, stderr } = run(
    'cmake',
    [
      ...['-S', '.', '-B', 'build-cmake'],
      // vcpkg's toolchain file does not look into the environment.
      ...(triplet ? [`-DVCPKG_TARGET_TRIPLET=${triplet}`] : []),
    ],
    { stdio: 'pipe', encoding: 'utf8' },
  );
  if (error) return 'CMake is not installed';
  if (status === 0) return undefined;
  if (/needs? GoogleTest/.test(stderr)) return 'GoogleTest is not installed';
  const output = `${stdout}${stderr}`.trim();
  const reason = /CMake Error[^]*?\n\s+(\S.*)/.exec(output)?.[1];
  return `CMake cannot configure them: ${reason ?? output}`;
}

/** A generator for several configurations puts programs into a directory for each. */
function program(suite) {
  const name = process.platform === 'win32' ? `${suite}.exe` : suite;
  const single = path.join(build, name);
  return existsSync(single) ? single : path.join(build, 'RelWithDebInfo', name);
}

function runSuites() {
  const { status } = run('cmake', [
    ...['--build', build, '--config', 'RelWithDebInfo', '--parallel', '2'],
    ...['--target', ...suites],
  ]);
  if (status !== 0) return false;
  return suites
    .map((suite) => run(program(suite), ['--gtest_brief=1']).status === 0)
    .every((passed) => passed);
}

const missing = obstacle();
const required = Boolean(process.env.CI);
if (missing) {
  const what = `the GoogleTest suites ${required ? 'cannot run' : 'are left out'}`;
  console.log(`test:unit: ${what}: ${missing}`);
}
const suitesPassed = missing === undefined ? runSuites() : !required;
const jest = run(process.execPath, [
  path.join(root, 'node_modules/jest/bin/jest.js'),
  ...['--config', 'jest.unit.config.js', ...process.argv.slice(2)],
]);
process.exitCode = suitesPassed && jest.status === 0 ? 0 : 1;
