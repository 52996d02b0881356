// Runs the packed package in each JavaScript runtime that can be had here, and prints what ran.
//
//   npm run test:hosts
//
// Packs and installs the package with the prebuilt addons that are in prebuilds/ (`npm run prebuild`), as on
// a machine without compiler and Python, once with npm's --ignore-scripts and once without. Each runtime then
// runs test/hosts/use-a-key.mjs with a software TPM (for Windows, with a stand-in for its key store), and
// each Node.js also tests of the API. Finally the package is installed without its addons, and npm compiles one.
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { startSoftwareTpm } from '../examples/remote-control/software-tpm.mjs';
import { nodeOnArm64 } from './hosts/arm64.mjs';
import { bunOnMusl } from './hosts/musl.mjs';
import { addonProblems, bareTools, install, pack, withoutAddons } from './hosts/package.mjs';
import { nodeOnWindows, windowsPath } from './hosts/windows.mjs';

const root = path.join(import.meta.dirname, '..');
process.chdir(root);
const targets = JSON.parse(readFileSync('cmake/toolchains/targets.json', 'utf8'));
const prebuilt = (target) => path.join('prebuilds', targets[target].file);
const runtimes = path.join(root, '.cache/hosts/node_modules');
const installLimitSeconds = 10;
const thisMachine = 'linux-x64-glibc';

const scratch = mkdtempSync(path.join(tmpdir(), 'dk-hosts-'));
const endings = [];
process.on('exit', () => {
  for (const end of endings) end();
  rmSync(scratch, { recursive: true, force: true });
});

const built = Object.keys(targets).filter((target) => existsSync(prebuilt(target)));
if (!built.includes(thisMachine)) {
  console.error('test-hosts: prebuilds/ has no addon for this machine: run `npm run prebuild`');
  process.exit(1);
}

const windows = built.includes('win32-x64') ? nodeOnWindows(scratch) : undefined;
if (windows) endings.push(windows.stop);
const hosts = [
  ...[18, 20, 22, 24, 26].map((version) => ({
    name: `Node.js ${version}`,
    target: thisMachine,
    command: [`${runtimes}/node-${version}/bin/node`],
    tests: ['api', 'openssl-config'],
  })),
  {
    name: 'Bun',
    target: thisMachine,
    command: [`${runtimes}/@oven/bun-linux-x64/bin/bun`],
  },
  {
    name: 'Deno',
    target: thisMachine,
    command: [`${runtimes}/@deno/linux-x64-glibc/deno`, 'run', '--allow-all'],
  },
  { name: 'Bun on musl', target: 'linux-x64-musl', command: bunOnMusl(scratch, runtimes) },
  {
    name: 'Node.js 22 on arm64 (emulated by qemu)',
    target: 'linux-arm64-glibc',
    ...nodeOnArm64(scratch, runtimes),
    tests: ['api'],
  },
  ...[20, 22].map((version) => ({
    name: `Node.js ${version} for Windows (under Wine, with a stand-in for the key store)`,
    target: 'win32-x64',
    command: windows?.command(version),
    resolver: windows?.resolver,
    tests: ['api'],
    windows: true,
  })),
].filter(({ target }) => built.includes(target));

let failed = false;
const addons = Object.fromEntries(built.map((target) => [target, prebuilt(target)]));
const tarball = pack(scratch, Object.values(addons));
const installations = [];
for (const options of [[], ['--ignore-scripts']]) {
  installations.push(await tryInstallation(options));
}
const rows = [];
for (const host of hosts) rows.push(await tryHost(host, installations[0]));
rows.push(await trySourceBuild());
report();
process.exitCode = failed ? 1 : 0;

async function tryInstallation(options) {
  const installation = install(scratch, tarball, { options, PATH: bareTools(scratch) });
  const use = (env) => useKey([process.execPath], installation.project, env);
  return {
    options,
    ...installation,
    problems: addonProblems(installation.installed, addons),
    said: await withTpm(use),
  };
}

async function trySourceBuild() {
  const { PATH } = process.env;
  const installation = install(scratch, withoutAddons(scratch, tarball), { PATH });
  const host = {
    name: `Node.js ${process.versions.node}, after ${installation.seconds.toFixed(0)} s of npm install`,
    target: 'compiled by npm install',
    command: [process.execPath],
    tests: ['api', 'openssl-config'],
  };
  const addon = path.join(installation.installed, 'build/Release/device_key.node');
  return { ...(await tryHost(host, installation)), addon };
}

async function tryHost(host, { project, installed }) {
  const use = (env) => useKey(host.command, project, env);
  const ran = [await (host.windows ? use({}) : withTpm(use))];
  if (host.tests) ran.push(...apiTests(host, installed));
  console.error(`test-hosts: ${host.name}: ${ran.join(', ')}`);
  return { target: host.target, host: host.name, ran: ran.join(', '), addon: addons[host.target] };
}

function useKey(command, cwd, env) {
  return run([...command, path.join(cwd, 'use-a-key.mjs')], { cwd, env });
}

function apiTests({ command, resolver, tests, windows }, installed) {
  const report = path.join(scratch, 'jest.json');
  rmSync(report, { force: true });
  const hostPath = windows ? windowsPath : (file) => file;
  run(
    [
      ...command,
      'node_modules/jest/bin/jest.js',
      '--config=jest.hosts.config.js',
      ...tests.map((name) => `${name}\\.test\\.ts$`),
      '--json',
      `--outputFile=${hostPath(report)}`,
    ],
    {
      env: {
        DEVICE_KEY_INSTALLED: hostPath(installed),
        ...(resolver && { NAPI_RS_NATIVE_LIBRARY_PATH: resolver }),
      },
    },
  );
  if (!existsSync(report)) {
    failed = true;
    return ['FAILED: the tests of the API did not run'];
  }
  return JSON.parse(readFileSync(report, 'utf8')).testResults.map(({ name, assertionResults }) => {
    const passed = assertionResults.filter(({ status }) => status === 'passed');
    const file = name.split(/[\\/]/).at(-1);
    return `${passed.length} of ${assertionResults.length} tests of ${file}`;
  });
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
    timeout: 900_000,
  });
  for (const file of files) closeSync(file);
  const [stdout, stderr] = outputs.map((file) => readFileSync(file, 'utf8'));
  if (status === 0) return stdout.trim().split('\n').at(-1);
  failed = true;
  console.error(stdout, stderr, error ?? '');
  return `FAILED (${signal ?? status})`;
}

function report() {
  for (const target of Object.keys(targets)) {
    if (rows.some((row) => row.target === target)) continue;
    const ran = target in addons ? 'only built' : 'not built';
    rows.push({ target, host: 'none here', ran, addon: addons[target] });
  }
  console.log('| addon | size | host | what ran |\n| --- | --- | --- | --- |');
  for (const { target, host, ran, addon } of rows) {
    const size = addon && existsSync(addon) ? statSync(addon).size / 2 ** 20 : undefined;
    console.log(`| ${target} | ${size ? `${size.toFixed(2)} MiB` : ''} | ${host} | ${ran} |`);
  }
  const megabytes = (statSync(tarball).size / 1e6).toFixed(1);
  console.log(`\nThe tarball has ${megabytes} MB. With no compiler and no Python in PATH:\n`);
  for (const { options, seconds, problems, said } of installations) {
    const command = ['npm', 'install', ...options].join(' ');
    console.log(`- ${command}: ${seconds.toFixed(1)} s; then Node.js ${said}`);
    if (seconds > installLimitSeconds) problems.push(`that is more than ${installLimitSeconds} s`);
    for (const problem of problems) console.log(`  FAILED: ${problem}`);
    if (problems.length > 0) failed = true;
  }
  console.log(
    `\nThe package has ${built.length} of ${Object.keys(targets).length} addons. ` +
      'Their SHA-256 were compared with prebuilds/manifest.json.',
  );
}
