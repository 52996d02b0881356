// Homes of keys for the fault tests: a directory of records, and a TPM or a token.
import { mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';

import type { DeviceKeyStoreOptions } from '../../dist/index.js';
import { P11KitServer, p11KitClient } from '../support/p11-kit-server';
import { SoftHsm, softHsmModule } from '../support/softhsm';
import { SoftwareTpm } from '../support/swtpm';

export interface Home {
  readonly directory: string;
  readonly options: DeviceKeyStoreOptions;
  readonly environment: Record<string, string>;
  // Waits until the hardware has finished the calls of processes that were killed.
  settle(): Promise<void>;
  // How many keys the hardware itself stores; null if it stores none.
  keysInHardware(): Promise<number | null>;
  stop(): Promise<void>;
}

export async function tpmHome(): Promise<Home> {
  const tpm = await SoftwareTpm.start();
  const home = await mkdtemp('/tmp/dk-faults-');
  const directory = path.join(home, 'keys');
  return {
    directory,
    options: { directory, ...tpm.options },
    environment: {},
    settle: () => Promise.resolve(),
    keysInHardware: () => Promise.resolve(null),
    async stop() {
      await tpm.stop();
      await rm(home, { recursive: true });
    },
  };
}

export async function tokenHome(): Promise<Home> {
  const hsm = await SoftHsm.make();
  await hsm.addToken('device keys');
  const home = await mkdtemp('/tmp/dk-faults-');
  const directory = path.join(home, 'keys');
  return {
    directory,
    options: {
      directory,
      tcti: 'device:/dev/no-tpm-here',
      pkcs11: { module: softHsmModule, token: 'device keys', pin: hsm.pin },
    },
    environment: hsm.environment,
    settle: () => Promise.resolve(),
    async keysInHardware() {
      const objects = await hsm.tool(['--list-objects', '--type', 'privkey']);
      return objects.split('Private Key Object').length - 1;
    },
    async stop() {
      await hsm.remove();
      await rm(home, { recursive: true });
    },
  };
}

// The same token behind `p11-kit server`: SoftHSM runs in the server, so the death of its user does not
// interrupt it while it writes the token's files.
export async function servedTokenHome(): Promise<Home> {
  const token = await tokenHome();
  const server = await P11KitServer.start({
    directory: path.dirname(token.directory),
    module: softHsmModule,
    env: token.environment,
    quiet: true,
  });
  return {
    ...token,
    options: { ...token.options, pkcs11: { ...token.options.pkcs11, module: p11KitClient } },
    environment: server.environment,
    settle: () => server.idle(),
    async stop() {
      await server.stop();
      await token.stop();
    },
  };
}

export const homes: [string, () => Promise<Home>][] = [
  ['a TPM', tpmHome],
  ['a PKCS#11 token', tokenHome],
];
