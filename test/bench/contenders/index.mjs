// The contenders. Each has its own software TPM and `run(operation, count)`, which resolves to the
// nanoseconds of each operation.
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

import { startSoftwareTpm } from '../support/software-tpm.mjs';
import { appServer } from './app-server.mjs';
import { bare, nativeStore } from './native.mjs';
import { clockedNodeApi } from './clocked-node-api.mjs';
import { nodeApi } from './node-api.mjs';
import { signProcess } from './sign-process.mjs';
import { softwareKey } from './software-key.mjs';
import { tpm2Pkcs11 } from './tpm2-pkcs11.mjs';
import { tpm2Tools } from './tpm2-tools.mjs';

const execute = promisify(execFile);

const contenders = {
  softwareKey: { label: 'node:crypto, no hardware', open: softwareKey },
  bare: { label: 'bare ESYS loop, C++', open: bare },
  nativeStore: { label: 'this library, C++ store', open: nativeStore },
  nodeApi: { label: 'this library, Node API', open: nodeApi },
  // The same with its records in memory; the difference is the time of the disk.
  nodeApiTmpfs: { label: 'this library, Node API, records on tmpfs', open: nodeApi, tmpfs: true },
  nodeApiClocked: { label: 'this library, Node API', open: clockedNodeApi },
  // Confined to one processor with their TPMs, so the scheduler never spreads them over two.
  bareOneCore: { label: 'bare ESYS loop, C++', open: bare, oneCore: true },
  nodeApiOneCore: { label: 'this library, Node API', open: nodeApi, oneCore: true },
  nodeApiClockedOneCore: {
    label: 'this library, Node API, on one core',
    open: clockedNodeApi,
    oneCore: true,
  },
  appServer: { label: 'this library, app-server', open: appServer },
  signProcess: { label: 'this library, a process each', open: signProcess },
  tpm2Pkcs11: { label: 'tpm2-pkcs11 + pkcs11js', open: tpm2Pkcs11, foreign: true },
  tpm2Tools: { label: 'tpm2-tools', open: tpm2Tools, foreign: true },
};

export const labelOf = (name) => contenders[name].label;
export const isOurs = (name) => labelOf(name).startsWith('this library');
/** Software of other projects, which may not be installed. */
export const isForeign = (name) => contenders[name].foreign === true;

// Confines a process with all of its threads to the first processor that we may use.
async function confine(pid) {
  const [, cpu] = /^Cpus_allowed_list:\s*(\d+)/m.exec(await readFile('/proc/self/status', 'utf8'));
  await execute('taskset', ['--all-tasks', '--cpu-list', '--pid', cpu, String(pid)]);
}

/** `directories`: where contenders may create a directory, on the disk and on tmpfs. */
export async function openContender(name, directories) {
  const { open, tmpfs, oneCore } = contenders[name];
  const directory = `${tmpfs ? directories.tmpfs : directories.disk}/${name}`;
  const tpm = await startSoftwareTpm();
  let contender;
  try {
    contender = await open(tpm.tcti, directory);
    if (oneCore) for (const { pid } of [tpm, contender]) await confine(pid);
    return {
      ...contender,
      async stop() {
        await contender.stop?.();
        await tpm.stop();
      },
    };
  } catch (error) {
    await contender?.stop?.();
    await tpm.stop();
    throw error;
  }
}
