// tpm2-pkcs11 through pkcs11js, in a separate process that has logged in once:
// node tpm2-pkcs11.mjs MODULE PIN
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { serve, startWorker } from '../support/worker.mjs';

const execute = promisify(execFile);
const thisFile = fileURLToPath(import.meta.url);
const token = 'bench';
const pin = 'userpin';

export async function tpm2Pkcs11(tcti, directory) {
  await mkdir(directory);
  const module = findModule();
  const env = { TPM2_PKCS11_STORE: directory, TPM2_PKCS11_TCTI: tcti };
  const tools = await flushingTools(directory);
  const ptool = (...args) =>
    execute('tpm2_ptool', [...args, '--path', directory], {
      env: { ...process.env, ...env, TPM2TOOLS_TCTI: tcti, PATH: `${tools}:${process.env.PATH}` },
    });
  await ptool('init');
  await ptool('addtoken', '--pid=1', '--sopin=sopin', `--userpin=${pin}`, `--label=${token}`);
  await ptool('addkey', '--algorithm=ecc256', `--label=${token}`, `--userpin=${pin}`);
  return startWorker(process.execPath, [thisFile, module, pin], env);
}

function findModule() {
  const file = ['x86_64-linux-gnu', 'aarch64-linux-gnu']
    .flatMap((name) => [`/usr/lib/${name}/pkcs11`, `/usr/lib/${name}`])
    .map((folder) => path.join(folder, 'libtpm2_pkcs11.so.1'))
    .find(existsSync);
  if (!file) throw new Error('libtpm2_pkcs11.so.1 is not installed');
  return file;
}

// tpm2_ptool runs several tpm2-tools, which need a resource manager. These commands flush what the
// tools leave in the TPM's slots.
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

async function main(module, userPin) {
  const { default: pkcs11js } = await import('pkcs11js');
  const pkcs11 = new pkcs11js.PKCS11();
  pkcs11.load(module);
  pkcs11.C_Initialize();
  const [slot] = pkcs11.C_GetSlotList(true);
  const session = pkcs11.C_OpenSession(slot, pkcs11js.CKF_SERIAL_SESSION | pkcs11js.CKF_RW_SESSION);
  pkcs11.C_Login(session, pkcs11js.CKU_USER, userPin);
  pkcs11.C_FindObjectsInit(session, [
    { type: pkcs11js.CKA_CLASS, value: pkcs11js.CKO_PRIVATE_KEY },
  ]);
  const [key] = pkcs11.C_FindObjects(session, 1);
  pkcs11.C_FindObjectsFinal(session);
  const digest = createHash('sha256').update('message').digest();
  await serve({
    sign() {
      pkcs11.C_SignInit(session, { mechanism: pkcs11js.CKM_ECDSA }, key);
      pkcs11.C_Sign(session, digest, Buffer.alloc(64));
    },
  });
}

if (process.argv[1] === thisFile) await main(...process.argv.slice(2));
