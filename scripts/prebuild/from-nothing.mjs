// Empty caches for `npm run prebuild -- --check`, so that the check uses no file of an earlier build.
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';

/**
 * Makes the programs that this process starts keep OpenSSL, the linker and zig's C and C++ libraries in
 * a separate directory, which is deleted when this process ends. It has copies of the archives alone, because
 * scripts/debian-archive verifies their hashes at each use.
 *
 * @returns the directory
 */
export function useEmptyCaches() {
  const cache = mkdtempSync(path.resolve('.cache/check-'));
  process.on('exit', () => rmSync(cache, { recursive: true, force: true }));
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));
  const ours = 'node-device-key';
  const before = path.join(process.env.XDG_CACHE_HOME ?? path.join(homedir(), '.cache'), ours);
  mkdirSync(path.join(cache, ours));
  for (const name of existsSync(before) ? readdirSync(before) : []) {
    if (!/\.(deb|orig\.tar\.gz)$/.test(name)) continue;
    copyFileSync(path.join(before, name), path.join(cache, ours, name));
  }
  process.env.XDG_CACHE_HOME = cache;
  process.env.ZIG_GLOBAL_CACHE_DIR = path.join(cache, 'zig');
  delete process.env.ZIG_LOCAL_CACHE_DIR;
  return cache;
}

/** Fails unless the compiler is the one that npm installs: the same files with the same contents. */
export function compareCompiler(cache) {
  const fresh = path.join(cache, 'toolchain');
  mkdirSync(fresh);
  for (const name of ['package.json', 'package-lock.json']) {
    copyFileSync(path.join('scripts/toolchain', name), path.join(fresh, name));
  }
  const options = ['--ignore-scripts', '--no-audit', '--no-fund'];
  execFileSync('npm', ['ci', '--prefix', fresh, ...options], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const { status } = spawnSync(
    'diff',
    ['--recursive', '--brief', `${fresh}/node_modules`, '.cache/toolchain/node_modules'],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  );
  if (status !== 0) {
    throw new Error('.cache/toolchain is not what npm installs: delete it, and build again');
  }
}
