// Builds the addon into build/Release, incrementally. Arguments are handed to node-gyp.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import path from 'node:path';

const root = path.join(import.meta.dirname, '..');

// On Linux the headers of the development dependency node-api-headers are enough. Without --nodedir,
// node-gyp downloads Node.js's headers where Node.js was installed without them. Windows needs node.lib
// too, and installers for macOS bring the headers along.
const nodeDirectory =
  process.platform === 'linux' ? [`--nodedir=${path.join(root, 'scripts/node-api')}`] : [];

const { status, error } = spawnSync(
  process.execPath,
  [
    createRequire(import.meta.url).resolve('node-gyp/bin/node-gyp.js'),
    // `configure` takes up new sources and leaves what is compiled alone.
    ...['configure', 'build', '--release', `--jobs=${availableParallelism()}`],
    // node-api and common.gypi are there; Node.js's config.gypi is process.config.
    '--force-process-config',
    ...nodeDirectory,
    ...process.argv.slice(2),
  ],
  { cwd: root, stdio: 'inherit' },
);
if (error) throw error;
process.exitCode = status ?? 1;
