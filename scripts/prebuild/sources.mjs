// One hash over everything in the repository that a prebuilt addon is made from, so that the manifest
// can tell an addon that differs from one that other sources made.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';

const inputs = [
  'CMakeLists.txt',
  'CMakePresets.json',
  'cmake',
  'native',
  'scripts/debian-archives.txt',
  'scripts/prebuild/linker',
  'scripts/prebuild/openssl',
  'scripts/toolchain/package-lock.json',
  'test/support/apple/include',
  'test/support/apple/stubs',
];

/** SHA-256 over the names and contents of the inputs, and the versions of npm's headers. */
export function sourcesHash(root) {
  const hash = createHash('sha256');
  const add = (name, content) => hash.update(`${name}\0${content.length}\0`).update(content);
  for (const file of inputs.flatMap((input) => filesOf(root, input))) {
    add(file, readFileSync(path.join(root, file)));
  }
  const { packages } = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8'));
  for (const name of ['node-addon-api', 'node-api-headers']) {
    add(name, packages[`node_modules/${name}`].integrity);
  }
  return hash.digest('hex');
}

function filesOf(root, input) {
  if (statSync(path.join(root, input)).isFile()) return [input];
  return readdirSync(path.join(root, input))
    .sort()
    .flatMap((name) => filesOf(root, path.posix.join(input, name)));
}
