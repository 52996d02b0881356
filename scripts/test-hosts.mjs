// Runs the packed package in each JavaScript runtime that can be had here, and prints what ran.
//
//   npm run test:hosts
//
// Packs and installs the package with the prebuilt addons that are in prebuilds/ (`npm run prebuild`), as on
// a machine without compiler and Python. Each runtime then runs test/hosts/use-a-key.mjs with a software TPM
// (for Windows, with a stand-in for its key store), and each Node.js of this machine's kind also the tests
// of the API.
import { execFileSync, spawnSync } from 'node:child_process';
import {
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { performance } from 'node:perf_hooks';

import { startSoftwareTpm } from '../examples/remote-control/software-tpm.mjs';
import { nodeOnArm64 } from './hosts/arm64.mjs';
import { bunOnMusl } from './hosts/musl.mjs';
import { nodeOnWindows } from './hosts/windows.mjs';

const root = path.join(import.meta.dirname, '..');
process.chdir(root);
const targets = JSON.parse(readFileSync('cmake/toolchains/targets.json', 'utf8'));
const prebuilt = (target) => path.join('prebuilds', targets[target].file);
const runtimes = path.join(root, '.cache/hosts/node_modules');
const installLimitSeconds = 10;

const scratch = mkdtempSync(path.join(tmpdir(), 'dk-hosts-'));
const endings = [];
process.on('exit', () => {
  for (const end of endings) end();
  rmSync(scratch, { recursive: true, force: true });
});

const windows = existsSync(prebuilt('win32-x64')) ? nodeOnWindows(scratch) : undefined;
if (windows) endings.push(windows.stop);
const hosts = [
  ...[18, 20, 22, 24, 26].map((version) => ({
    name: `Node.js ${version}`,
    target: 'linux-x64-glibc',
    command: [`${runtimes}/node-${version}/bin/node`],
    jest: true,
  })),
  {
    name: 'Bun',
    target: 'linux-x64-glibc',
    command: [`${runtimes}/@oven/bun-linux-x64/bin/bun`],
  },
  {
    name: 'Deno',
    target: 'linux-x64-glibc',
    command: [`${runtimes}/@deno/linux-x64-glibc/deno`, 'run', '--allow-all'],
  },
  { name: 'Bun on musl', target: 'linux-x64-musl', command: bunOnMusl(scratch, runtimes) },
  {
    name: 'Node.js 22 on arm64 (emulated by qemu)',
    target: 'linux-arm64-glibc',
    command: nodeOnArm64(scratch, runtimes),
  },
  ...[20, 22].map((version) => ({
    name: `Node.js ${version} for Windows (under Wine, with a stand-in for the key store)`,
    target: 'win32-x64',
    command: windows?.command(version),
    windows: true,
  })),
].filter(({ target }) => existsSync(prebuilt(target)));

if (hosts.length === 0) {
  console.error('test-hosts: prebuilds/ has no addon: run `npm run prebuild`');
  process.exit(1);
}

let failed = false;
const tarball = pack();
const { installed, seconds } = install(tarball);
const rows = [];
for (const host of hosts) rows.push(await tryHost(host));
report();
process.exitCode = failed ? 1 : 0;

/** The tarball, from a copy of what git has: packing rebuilds dist/. */
function pack() {
  const copy = path.join(scratch, 'checkout');
  for (const file of execFileSync('git', ['ls-files'], { encoding: 'utf8' }).trim().split('\n')) {
    if (existsSync(file)) cpSync(file, path.join(copy, file));
  }
  for (const file of Object.keys(targets).map(prebuilt)) {
    if (existsSync(file)) cpSync(file, path.join(copy, file));
  }
  symlinkSync(path.join(root, 'node_modules'), path.join(copy, 'node_modules'));
  execFileSync('npm', ['pack', '--loglevel=error', `--pack-destination=${scratch}`], {
    cwd: copy,
    env: { ...process.env, DEVICE_KEY_PACK_WITHOUT_PREBUILDS: '1' }, // those that were built are there
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const { name, version } = JSON.parse(readFileSync('package.json', 'utf8'));
  return path.join(scratch, `${name}-${version}.tgz`);
}

/** Installs it where PATH has Node.js and a shell, and nothing else. */
function install(tarball) {
  const project = path.join(scratch, 'project');
  const bin = path.join(scratch, 'bin');
  for (const directory of [project, bin]) mkdirSync(directory);
  symlinkSync(process.execPath, path.join(bin, 'node'));
  symlinkSync('/bin/sh', path.join(bin, 'sh'));
  writeFileSync(path.join(project, 'package.json'), '{ "private": true }');
  const npm = execFileSync('sh', ['-c', 'readlink -f "$(command -v npm)"'], { encoding: 'utf8' });
  const start = performance.now();
  execFileSync(process.execPath, [npm.trim(), 'install', '--no-audit', '--no-fund', tarball], {
    cwd: project,
    env: { PATH: bin, HOME: scratch },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  cpSync('test/hosts/use-a-key.mjs', path.join(project, 'use-a-key.mjs'));
  return {
    installed: path.join(project, 'node_modules/node-device-key'),
    seconds: (performance.now() - start) / 1000,
  };
}

async function tryHost(host) {
  const cwd = path.dirname(path.dirname(installed));
  const useKey = (env) => run([...host.command, path.join(cwd, 'use-a-key.mjs')], { cwd, env });
  const said = await (host.windows ? useKey({}) : withTpm(useKey));
  const ran = [said];
  if (host.jest) ran.push(apiTests(host));
  console.error(`test-hosts: ${host.name}: ${ran.join(', ')}`);
  return [host.target, host.name, ran.join(', ')];
}

function apiTests({ command }) {
  const report = path.join(scratch, 'jest.json');
  rmSync(report, { force: true });
  run(
    [
      ...command,
      'node_modules/jest/bin/jest.js',
      '--config=jest.hosts.config.js',
      '--json',
      `--outputFile=${report}`,
    ],
    { env: { DEVICE_KEY_INSTALLED: installed } },
  );
  const { numPassedTests, numTotalTests } = JSON.parse(readFileSync(report, 'utf8'));
  return `${numPassedTests} of ${numTotalTests} tests of the API`;
}

async function withTpm(use) {
  const directory = mkdtempSync(path.join(tmpdir(), 'dk-tpm-'));
  const tpm = await startSoftwareTpm(directory, (kill) => endings.push(kill));
  try {
    return use({
      DEVICE_KEY_TCTI: tpm.tcti,
      DEVICE_KEY_ALLOW_SIMULATOR: '1',
      DEVICE_KEY_HOME: path.join(directory, 'keys'),
      DEVICE_KEY_PKCS11_MODULE: '/nonexistent/pkcs11.so',
    });
  } finally {
    await tpm.stop();
    rmSync(directory, { recursive: true });
  }
}

/** The last line that the command prints, or what went wrong. */
function run([program, ...args], { cwd = root, env }) {
  // Files, because node.exe under Wine cannot write to a Unix pipe.
  const outputs = ['stdout', 'stderr'].map((name) => path.join(scratch, name));
  const files = outputs.map((file) => openSync(file, 'w'));
  const { status, signal, error } = spawnSync(program, args, {
    cwd,
    stdio: ['ignore', ...files],
    env: { PATH: process.env.PATH, HOME: scratch, ...env },
    timeout: 300_000,
  });
  for (const file of files) closeSync(file);
  const [stdout, stderr] = outputs.map((file) => readFileSync(file, 'utf8'));
  if (status === 0) return stdout.trim().split('\n').at(-1);
  failed = true;
  console.error(stdout, stderr, error ?? '');
  return `FAILED (${signal ?? status})`;
}

function report() {
  console.log('| addon | host | what ran |\n| --- | --- | --- |');
  for (const row of rows) console.log(`| ${row.join(' | ')} |`);
  for (const target of Object.keys(targets)) {
    if (rows.some(([name]) => name === target)) continue;
    const what = existsSync(prebuilt(target)) ? 'only built' : 'not built';
    console.log(`| ${target} | none here | ${what} |`);
  }
  const megabytes = statSync(tarball).size / 1e6;
  console.log(
    `the tarball has ${megabytes.toFixed(1)} MB; it was installed in ${seconds.toFixed(1)} s, with no ` +
      'compiler and no Python in PATH',
  );
  if (seconds > installLimitSeconds) {
    console.log(`that is more than ${installLimitSeconds} s`);
    failed = true;
  }
}
