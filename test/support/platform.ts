// Differences between the systems that tests run on.
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
