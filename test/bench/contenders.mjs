// Who is measured. Each has a software TPM of its own and `run(operation, count)`, which resolves to
// the nanoseconds that each operation took.
import { execFile, spawn } from 'node:child_process';
import { createSign, generateKeyPairSync } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { owner, payload } from './payload.mjs';
import { startSoftwareTpm } from './software-tpm.mjs';
import { startWorker, time } from './worker.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const root = path.join(here, '../..');
const cache = path.join(root, '.cache/bench');
const nativeContender = path.join(cache, 'build/test/bench/native/bench_contender');
export const cli = path.join(root, 'dist/cli/main.js');
const execute = promisify(execFile);

/** A TPM, and what goes with it when `open` has made a contender of it. */
async function withTpm(open) {
  const tpm = await startSoftwareTpm();
  try {
    const contender = await open(tpm.tcti);
    return {
      ...contender,
      async stop() {
        await contender.stop?.();
        await tpm.stop();
      },
    };
  } catch (error) {
    await tpm.stop();
    throw error;
  }
}

export const bare = () => withTpm((tcti) => startWorker(nativeContender, ['bare', tcti]));

export const nativeStore = (directory) =>
  withTpm((tcti) => startWorker(nativeContender, ['store', tcti, directory]));

export const nodeApi = (directory) =>
  withTpm((tcti) =>
    startWorker(process.execPath, [path.join(here, 'node-contender.mjs'), tcti, directory]),
  );

const environment = (tcti, directory) => ({
  ...process.env,
  DEVICE_KEY_TCTI: tcti,
  DEVICE_KEY_ALLOW_SIMULATOR: '1',
  DEVICE_KEY_HOME: directory,
});

/** `device-key app-server`, over its standard streams; `call` and `request` for other questions. */
export const appServer = (directory) =>
  withTpm(async (tcti) => {
    const child = spawn(process.execPath, [cli, 'app-server'], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: environment(tcti, directory),
    });
    const waiting = new Map();
    createInterface({ input: child.stdout }).on('line', (line) => {
      const answer = JSON.parse(line);
      waiting.get(answer.id)(answer);
      waiting.delete(answer.id);
    });
    let lastId = 0;
    const call = (method, params) =>
      new Promise((resolve) => {
        lastId += 1;
        waiting.set(lastId, resolve);
        child.stdin.write(`${JSON.stringify({ id: lastId, method, params })}\n`);
      });
    const succeed = async (method, params) => {
      const answer = await call(method, params);
      if (answer.error) throw new Error(answer.error.message);
      return answer.result;
    };
    await succeed('initialize', { clientInfo: { name: 'bench', version: '0' } });
    const { keyId } = await succeed('device/key/create', owner);
    const fixed = payload();
    const operations = {
      sign: () => succeed('device/key/sign', { keyId, payload: fixed }),
      create: () => succeed('device/key/create', owner),
      // A rule's refusal: decoded, checked and answered, without a turn of the hardware's thread.
      refused: () => call('device/key/sign', { keyId, payload: { ...fixed, nonce: 'short' } }),
    };
    return {
      call,
      operations,
      run: (operation, count) => time(operations[operation], count),
      stop: () => {
        const exited = new Promise((resolve) => child.once('exit', resolve));
        child.stdin.end();
        return exited;
      },
    };
  });

/** `device-key sign`, a process for each signature. */
export const signProcess = (directory) =>
  withTpm(async (tcti) => {
    const env = environment(tcti, directory);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const payloadFile = path.join(directory, 'payload');
    await writeFile(payloadFile, JSON.stringify(payload()));
    const { stdout } = await execute(
      process.execPath,
      [cli, 'create', '--account', owner.accountUserId, '--client', owner.clientId, '--json'],
      { env },
    );
    const { keyId } = JSON.parse(stdout);
    return {
      run: (_, count) =>
        time(
          () =>
            execute(process.execPath, [cli, 'sign', keyId, '--payload', payloadFile, '--json'], {
              env,
            }),
          count,
        ),
    };
  });

/**
 * tpm2-tools: the parent, the key and the signature are a process each, as scripts do it. Without a
 * resource manager they leave the TPM's slots full, which is put right at nobody's cost.
 */
export const tpm2Tools = (directory) =>
  withTpm(async (tcti) => {
    await mkdir(directory, { recursive: true });
    await writeFile(path.join(directory, 'digest'), Buffer.alloc(32));
    const tool = (name, ...args) =>
      execute(name, args, { cwd: directory, env: { ...process.env, TPM2TOOLS_TCTI: tcti } });
    const primary = () =>
      tool('tpm2_createprimary', '-C', 'o', '-G', 'ecc', '-c', 'parent.ctx', '-Q');
    const steps = {
      create: [
        primary,
        () =>
          tool(
            'tpm2_create',
            ...['-C', 'parent.ctx', '-G', 'ecc256:ecdsa-sha256', '-p', 'secret'],
            ...['-u', 'key.pub', '-r', 'key.priv', '-Q'],
          ),
      ],
      sign: [
        primary,
        () =>
          tool(
            'tpm2_load',
            ...['-C', 'parent.ctx', '-u', 'key.pub', '-r', 'key.priv', '-c', 'key.ctx', '-Q'],
          ),
        () =>
          tool(
            'tpm2_sign',
            ...['-c', 'key.ctx', '-p', 'secret', '-g', 'sha256', '-d', '-o', 'signature', 'digest'],
          ),
      ],
    };
    const run = async (operation, count) => {
      const times = [];
      for (let i = 0; i < count; i += 1) {
        let total = 0;
        for (const step of steps[operation]) {
          const [spent] = await time(step, 1);
          total += spent;
          await tool('tpm2_flushcontext', '-t');
        }
        times.push(total);
      }
      return times;
    };
    await run('create', 1);
    return { run };
  });

// Compiled from its npm package, against the headers of the running Node.js when those are there.
const pkcs11jsPackage = 'pkcs11js@2.1.7';
const pkcs11jsIntegrity =
  'sha512-hstUuhkFoISF8BmTVRtaZzbF09WjE39K3gzZzUrI8WtRu4cYl4gakkd06I4Kq36kR/mkwVw2T2y3kHXk6JvuHQ==';

async function installPkcs11js() {
  const directory = path.join(cache, 'pkcs11js');
  const module = path.join(directory, 'node_modules/pkcs11js');
  if (existsSync(path.join(module, 'build/Release/pkcs11.node'))) return module;
  const nodedir = path.dirname(path.dirname(process.execPath));
  if (!existsSync(path.join(nodedir, 'include/node/node_api.h'))) {
    throw new Error('pkcs11js needs the headers of Node.js beside it');
  }
  await mkdir(directory, { recursive: true });
  await writeFile(path.join(directory, 'package.json'), '{"private":true}\n');
  const { stdout } = await execute('npm', ['view', pkcs11jsPackage, 'dist.integrity']);
  if (stdout.trim() !== pkcs11jsIntegrity) throw new Error(`${pkcs11jsPackage} is another package`);
  await execute(
    'npm',
    ['install', '--no-audit', '--no-fund', '--ignore-scripts', pkcs11jsPackage],
    {
      cwd: directory,
    },
  );
  await execute(
    path.join(root, 'node_modules/.bin/node-gyp'),
    ['rebuild', `--nodedir=${nodedir}`, '--release'],
    { cwd: module },
  );
  return module;
}

function pkcs11Module() {
  for (const name of ['x86_64-linux-gnu', 'aarch64-linux-gnu']) {
    for (const folder of ['pkcs11/', '']) {
      const file = `/usr/lib/${name}/${folder}libtpm2_pkcs11.so.1`;
      if (existsSync(file)) return file;
    }
  }
  throw new Error('libtpm2_pkcs11.so.1 is not installed');
}

// tpm2_ptool runs tpm2-tools one after the other, which takes a resource manager. These flush what
// all of them leave in the TPM's slots.
async function flushingTools(directory) {
  const tools = path.join(directory, 'tools');
  await mkdir(tools);
  for (const name of ['tpm2_create', 'tpm2_createprimary', 'tpm2_load', 'tpm2_unseal']) {
    await writeFile(
      path.join(tools, name),
      `#!/bin/sh\nPATH=\${PATH#*:}\ntpm2_flushcontext -t >/dev/null 2>&1\n${name} "$@"\nstatus=$?\n` +
        'tpm2_flushcontext -t >/dev/null 2>&1\nexit $status\n',
      { mode: 0o755 },
    );
  }
  return tools;
}

/** tpm2-pkcs11 through pkcs11js, in one process that has logged in. */
export const tpm2Pkcs11 = (directory) =>
  withTpm(async (tcti) => {
    const library = await installPkcs11js();
    await mkdir(directory, { recursive: true });
    const env = { TPM2_PKCS11_STORE: directory, TPM2_PKCS11_TCTI: tcti };
    const tools = await flushingTools(directory);
    const ptool = (...args) =>
      execute('tpm2_ptool', args, {
        env: {
          ...process.env,
          ...env,
          TPM2TOOLS_TCTI: tcti,
          PATH: `${tools}:${process.env.PATH}`,
        },
      });
    await ptool('init', '--path', directory);
    await ptool(
      ...['addtoken', '--pid=1', '--sopin=sopin', '--userpin=userpin', '--label=bench'],
      ...['--path', directory],
    );
    await ptool(
      ...['addkey', '--algorithm=ecc256', '--label=bench', '--userpin=userpin'],
      ...['--path', directory],
    );
    return startWorker(
      process.execPath,
      [path.join(here, 'pkcs11-contender.mjs'), library, pkcs11Module(), 'userpin'],
      env,
    );
  });

/** A software key in this process: what no hardware can be faster than. */
export async function softwareKey() {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const operations = {
    sign: () => createSign('sha256').update('message').sign(privateKey),
    create: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  };
  return { run: (operation, count) => time(operations[operation], count), stop() {} };
}
