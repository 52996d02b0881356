// Builds the addon into build/Release, incrementally. Passes its arguments to node-gyp.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

// node-gyp is a dependency of a checkout. For an install script, npm and pnpm set
// npm_config_node_gyp to their own; Yarn adds one to PATH.
const nodeGyp = [
  path.join(root, 'node_modules/node-gyp/bin/node-gyp.js'),
  process.env.npm_config_node_gyp,
].find((file) => file && existsSync(file));

// On Linux the headers of Node-API are enough (scripts/native-build.js). Without --nodedir,
// node-gyp would download Node.js's headers if Node.js was installed without them. Windows also
// needs node.lib, and installers for macOS include the headers.
const nodeDirectory =
  process.platform === 'linux' ? [`--nodedir=${path.join(root, 'scripts/node-api')}`] : [];

const { status, error } = spawnSync(
  nodeGyp ? process.execPath : 'node-gyp',
  [
    ...(nodeGyp ? [nodeGyp] : []),
    // `configure` adds new sources and keeps the compiled objects.
    ...['configure', 'build', '--release', `--jobs=${availableParallelism()}`],
    // The folder has node-api and common.gypi; Node.js's config.gypi is process.config.
    '--force-process-config',
    ...nodeDirectory,
    ...process.argv.slice(2),
  ],
  // On Windows the node-gyp in PATH is a batch file, which only a shell can run.
  { cwd: root, stdio: 'inherit', shell: !nodeGyp && process.platform === 'win32' },
);
if (error) throw error;
process.exitCode = status ?? 1;
