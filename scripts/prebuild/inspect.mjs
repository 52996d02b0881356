// Inspects finished prebuilt addons, without running them: would each load where it has to, next to
// what it must not collide with? Electron cannot be run in the tests, so what it asks for is checked here.
//
//   node scripts/prebuild/inspect.mjs TARGET FILE   fails, and prints what is wrong
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';

import { inspectElf } from './inspect/elf.mjs';
import { inspectMachO } from './inspect/mach-o.mjs';
import { inspectPe } from './inspect/pe.mjs';

const mebibyte = 2 ** 20;
const sizeLimit = 2.2 * mebibyte;

const buildPaths = [path.join(import.meta.dirname, '../../'), `${homedir()}/`];

const inspectors = { linux: inspectElf, darwin: inspectMachO, win32: inspectPe };

/**
 * What is wrong with `file` as the addon for `target`, of cmake/toolchains/targets.json: a list of
 * sentences, empty if nothing is.
 */
export function inspect(target, file) {
  const content = readFileSync(file);
  const [platform] = target.split('-');
  return [
    ...(content.length > sizeLimit ? [`has ${content.length} bytes, more than ${sizeLimit}`] : []),
    // It would differ from the same addon of another machine.
    ...buildPaths.filter((name) => content.includes(name)).map((name) => `has the path ${name}`),
    ...inspectors[platform](target, file),
  ];
}

if (process.argv[1] === import.meta.filename) {
  if (process.argv.length !== 4) {
    console.error('usage: node scripts/prebuild/inspect.mjs TARGET FILE');
    process.exit(2);
  }
  const complaints = inspect(...process.argv.slice(2));
  for (const complaint of complaints) console.log(complaint);
  if (complaints.length > 0) process.exitCode = 1;
}
