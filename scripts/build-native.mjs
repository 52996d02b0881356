// Builds the addon into build/Release, incrementally. Arguments are handed to node-gyp.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

// A checkout has node-gyp among its dependencies. For an install script, npm and pnpm name theirs in
// npm_config_node_gyp; Yarn adds one to PATH.
const nodeGyp = [
  path.join(root, 'node_modules/node-gyp/bin/node-gyp.js'),
  process.env.npm_config_node_gyp,
].find((file) => file && existsSync(file));

// On Linux the headers of Node-API are enough (scripts/native-build.js). Without --nodedir, node-gyp
// downloads Node.js's headers where Node.js was installed without them. Windows needs node.lib too, and
// installers for macOS bring the headers along.
const nodeDirectory =
  process.platform === 'linux' ? [`--nodedir=${path.join(root, 'scripts/node-api')}`] : [];

const { status, error } = spawnSync(
  nodeGyp ? process.execPath : 'node-gyp',
  [
    ...(nodeGyp ? [nodeGyp] : []),
    // `configure` adds new sources and keeps the compiled objects.
    ...['configure', 'build', '--release', `--jobs=${availableParallelism()}`],
    // node-api and common.gypi are there; Node.js's config.gypi is process.config.
    '--force-process-config',
    ...nodeDirectory,
    ...process.argv.slice(2),
  ],
  // On Windows the one in PATH is a batch file, which only a shell can run.
  { cwd: root, stdio: 'inherit', shell: !nodeGyp && process.platform === 'win32' },
);
if (error) throw error;
process.exitCode = status ?? 1;
