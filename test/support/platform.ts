// Differences between the systems that tests run on.
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

export const onWindows = process.platform === 'win32';

// For features that Windows does not have: direct access to a TPM, Unix signals.
export const testUnlessWindows = onWindows ? test.skip : test;
export const describeUnlessWindows = onWindows ? describe.skip : describe;

// For mkdtemp. On Windows it has a space and letters outside every code page, like some user names
// there.
export const scratchPrefix = onWindows
  ? path.join(tmpdir(), 'Größe 鍵 ')
  : path.join(tmpdir(), 'dk-');

// Where Linux has its libraries; Debian has a directory for each architecture. It is the one with the
// client module of p11-kit, which also has the other PKCS#11 modules of the tests in pkcs11/.
export const linuxLibraries =
  ['/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu', '/usr/lib64'].find((directory) =>
    existsSync(`${directory}/pkcs11/p11-kit-client.so`),
  ) ?? '/usr/lib';

// The variables that a program needs to start.
const essential = onWindows ? ['PATH', 'SystemRoot', 'TEMP', 'NCRYPT_STAND_IN'] : ['PATH'];

// The environment of the tests' child processes, without this machine's own TPM, tokens and keys.
// Otherwise the modules that are registered with p11-kit would be loaded; they write to standard
// error, and some write files.
export const essentialEnvironment: NodeJS.ProcessEnv = {
  ...Object.fromEntries(essential.map((name) => [name, process.env[name]])),
  DEVICE_KEY_PKCS11_MODULE: '/nonexistent/pkcs11.so',
};

// A command that the kernel ends when this process ends.
export function tied(command: string[]): [program: string, ...args: string[]] {
  const [program = '', ...args] = onWindows
    ? command
    : ['setpriv', '--pdeathsig', 'KILL', ...command];
  return [program, ...args];
}
