'use strict';
// What binding.gyp cannot compute by itself: the source list shared with CMake, and where headers are.
const fs = require('node:fs');
const path = require('node:path');

const root = path.join(__dirname, '..');

// The paths that native/sources.txt lists for this operating system, and those of the addon room.
function sources(os) {
  return fs
    .readFileSync(path.join(root, 'native/sources.txt'), 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([where, file]) => file && ['all', 'addon', os].includes(where))
    .map(([, file]) => file);
}

// The published package carries the header-only libraries in vendor/include, so that a user's
// build needs no more than a compiler and the system's development packages; a git checkout takes
// node-addon-api from npm and nlohmann/json from the system.
function includeDirs() {
  const vendored = path.join(root, 'vendor/include');
  return fs.existsSync(vendored) ? ['vendor/include'] : [require('node-addon-api').include_dir];
}

const [what, os] = process.argv.slice(2);
process.stdout.write((what === 'sources' ? sources(os) : includeDirs()).join(' '));
