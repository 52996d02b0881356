// The packed package, and its installation.
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { performance } from 'node:perf_hooks';

import { problemOf } from '../prebuild/published.mjs';

/** Packs a copy of what git has, with the addons in prebuilds/: packing rebuilds dist/. */
export function pack(scratch, addons) {
  const copy = path.join(scratch, 'checkout');
  const inGit = execFileSync('git', ['ls-files'], { encoding: 'utf8' }).trim().split('\n');
  for (const file of [...inGit, ...addons]) {
    if (existsSync(file)) cpSync(file, path.join(copy, file));
  }
  symlinkSync(path.resolve('node_modules'), path.join(copy, 'node_modules'));
  execFileSync('npm', ['pack', '--loglevel=error', `--pack-destination=${scratch}`], {
    cwd: copy,
    env: { ...process.env, DEVICE_KEY_PACK_WITHOUT_PREBUILDS: '1' }, // those that were built are there
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const { name, version } = JSON.parse(readFileSync('package.json', 'utf8'));
  return path.join(scratch, `${name}-${version}.tgz`);
}

/** The same tarball without the addons, as if none fitted. */
export function withoutAddons(scratch, tarball) {
  const other = path.join(scratch, 'without-addons.tgz');
  const unpacked = mkdtempSync(path.join(scratch, 'unpacked-'));
  execFileSync('tar', ['-xzf', tarball, '-C', unpacked, '--exclude=*.node']);
  execFileSync('tar', ['-czf', other, '-C', unpacked, 'package']);
  return other;
}

/** A directory that has Node.js and a shell, and nothing else, for PATH. */
export function bareTools(scratch) {
  const bin = mkdtempSync(path.join(scratch, 'bin-'));
  symlinkSync(process.execPath, path.join(bin, 'node'));
  symlinkSync('/bin/sh', path.join(bin, 'sh'));
  return bin;
}

/** Installs it in an empty project. The programs that npm can start are those of PATH. */
export function install(scratch, tarball, { options = [], PATH }) {
  const home = mkdtempSync(path.join(scratch, 'home-'));
  const project = path.join(home, 'project');
  mkdirSync(project);
  writeFileSync(path.join(project, 'package.json'), '{ "private": true }');
  const npm = execFileSync('sh', ['-c', 'readlink -f "$(command -v npm)"'], { encoding: 'utf8' });
  const start = performance.now();
  execFileSync(
    process.execPath,
    [npm.trim(), 'install', '--no-audit', '--no-fund', '--no-update-notifier', ...options, tarball],
    { cwd: project, env: { PATH, HOME: home }, stdio: ['ignore', 'ignore', 'inherit'] },
  );
  const seconds = (performance.now() - start) / 1000;
  // The backend of the example uses it. The package does not depend on it.
  cpSync('node_modules/ws', path.join(project, 'node_modules/ws'), { recursive: true });
  cpSync('test/hosts/use-a-key.mjs', path.join(project, 'use-a-key.mjs'));
  return { project, installed: path.join(project, 'node_modules/node-device-key'), seconds };
}

/**
 * Describes the faults of the addons of an installed package. It must have these, as prebuilds/manifest.json describes
 * them, and no other.
 *
 * @param {Record<string, string>} addons their paths in the package, by target
 */
export function addonProblems(installed, addons) {
  const found = readdirSync(installed, { recursive: true }).filter((name) =>
    name.endsWith('.node'),
  );
  const strangers = found.filter((name) => !Object.values(addons).includes(name));
  return [
    ...Object.keys(addons)
      .map((target) => [target, problemOf(target, path.join(installed, 'prebuilds'))])
      .filter(([, problem]) => problem)
      .map(([target, problem]) => `${target}: ${problem}`),
    ...strangers.map((name) => `${name} does not belong in the package`),
  ];
}
