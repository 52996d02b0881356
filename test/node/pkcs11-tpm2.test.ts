// Keys in a TPM through tpm2-pkcs11.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

import { runChild } from '../support/child';
import { CliUser } from '../support/cli';
import { linuxLibraries } from '../support/platform';
import { verifies } from '../support/proof';
import { SoftwareTpm } from '../support/swtpm';
import { TokenClient } from '../support/token-client';

// Debian 13 has the library with PKCS#11 modules, Debian 12 with other libraries.
const inModules = `${linuxLibraries}/pkcs11/libtpm2_pkcs11.so.1`;
const tpm2Pkcs11 = existsSync(inModules) ? inModules : `${linuxLibraries}/libtpm2_pkcs11.so.1`;
const pin = '1234';
const soPin = '12345678';

let tpm: SoftwareTpm;
let home: string;
let env: Record<string, string>;

beforeEach(async () => {
  tpm = await SoftwareTpm.start();
  home = await mkdtemp('/tmp/dk-home-');
  const store = path.join(home, 'tpm2-pkcs11');
  await mkdir(store);
  env = { TPM2_PKCS11_STORE: store, TPM2_PKCS11_TCTI: tpm.tcti, TSS2_LOG: 'all+NONE' };
  await tool('--slot-index', '0', '--init-token', '--label', 'tpm', '--so-pin', soPin);
  await tool(
    ...['--login', '--login-type', 'so', '--so-pin', soPin, '--token-label', 'tpm'],
    ...['--init-pin', '--pin', pin],
  );
});
afterEach(async () => {
  await tpm.stop();
  await rm(home, { recursive: true });
});

async function tool(...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)('pkcs11-tool', ['--module', tpm2Pkcs11, ...args], {
    env: { ...process.env, ...env },
  });
  await flush();
  return stdout;
}

// Without a resource manager, objects that a process leaves in the TPM's three slots stay there.
async function flush(): Promise<void> {
  await tpm.tool('tpm2_flushcontext', '--transient-object');
}

function start(): Promise<TokenClient> {
  const options = {
    directory: path.join(home, 'keys'),
    tcti: 'device:/dev/no-tpm-here',
    pkcs11: { module: tpm2Pkcs11, token: 'tpm', pin },
  };
  return TokenClient.start(options, { env });
}

test('a key signs in the process that made it and in the next, until it is deleted', async () => {
  const client = await start();
  const key = await client.create();
  expect(verifies(key.publicKeySpkiDerBase64, await client.sign(key.keyId))).toBe(true);
  await client.stop();
  await flush();

  expect(await tool('--login', '--pin', pin, '--list-objects')).toMatch(
    /Access: +sensitive, always sensitive, never extractable, local/,
  );

  const next = await start();
  expect(verifies(key.publicKeySpkiDerBase64, await next.sign(key.keyId))).toBe(true);
  expect(await next.list()).toMatchObject([{ keyId: key.keyId }]);
  await next.delete(key.keyId);
  expect(await next.list()).toEqual([]);
  await next.stop();
  await flush();
  expect(await tool('--login', '--pin', pin, '--list-objects')).not.toContain('dk_osn_');
});

// tpm2-pkcs11 is registered with p11-kit here. It writes to standard error when it is loaded, and makes
// a store in the home directory.
describe('if the TPM can be used directly, tpm2-pkcs11 is not loaded', () => {
  let direct: Record<string, string>;

  beforeEach(() => {
    direct = {
      DEVICE_KEY_TCTI: tpm.tcti,
      DEVICE_KEY_ALLOW_SIMULATOR: '1',
      DEVICE_KEY_PKCS11_MODULE: '', // as if unset
    };
  });
  test('by support()', async () => {
    const user = await mkdtemp('/tmp/dk-home-');
    const call = { call: 'probeDeviceKeySupport' };
    const { output, stderr } = await runChild<{ result: object }>('use-module.cjs', call, {
      env: { HOME: user, ...direct },
    });
    expect(output.result).toMatchObject({ protectionClass: 'hardware_tpm' });
    expect(stderr).toBe('');
    expect(await readdir(user)).toEqual([]);
    await rm(user, { recursive: true });
  });

  test('by device-key doctor', async () => {
    const cli = await CliUser.create();
    const { code, stderr } = await cli.run(['doctor'], { env: direct });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(await readdir(cli.home)).toEqual([]);
    await cli.remove();
  });
});
