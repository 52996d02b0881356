'use strict';
// npm runs this after unpacking the package. It builds the addon if no prebuilt one can be loaded.
// It always succeeds: node-device-key/verify and node-device-key/testing need no addon, and the
// main entry reports the missing part at its first use.
const { spawnSync } = require('node:child_process');
const { existsSync } = require('node:fs');
const path = require('node:path');

const root = path.join(__dirname, '..');
const loader = path.join(root, 'dist/native.js');

// In a separate process, because a loaded addon cannot be replaced on Windows.
function canLoad() {
  const program = `require(${JSON.stringify(loader)}).loadNative()`;
  return spawnSync(process.execPath, ['-e', program], { stdio: 'ignore' }).status === 0;
}

function build() {
  spawnSync(process.execPath, [path.join(__dirname, 'build-native.mjs')], { stdio: 'inherit' });
  return canLoad();
}

// A new checkout has no dist/; scripts/bootstrap builds everything there.
if (existsSync(loader) && !canLoad() && !build()) {
  console.error(
    `node-device-key: installed without its addon, because none fits ${process.platform} ` +
      `${process.arch} and none could be built. Only node-device-key/verify and ` +
      'node-device-key/testing work without it. ' +
      'The section "Install" of its README.md lists what a build needs.',
  );
}
