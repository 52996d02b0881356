// What differs between the systems that tests run on.
import { tmpdir } from 'node:os';
import path from 'node:path';

export const onWindows = process.platform === 'win32';

// For what Windows has no counterpart of: a TPM that programs talk to directly, Unix signals.
export const testUnlessWindows = onWindows ? test.skip : test;
export const describeUnlessWindows = onWindows ? describe.skip : describe;

// For mkdtemp. On Windows with a space and letters of no code page, as in names of users there.
export const scratchPrefix = onWindows
  ? path.join(tmpdir(), 'Größe 鍵 ')
  : path.join(tmpdir(), 'dk-');

// What a program needs to find to start at all.
const essential = onWindows ? ['PATH', 'SystemRoot', 'TEMP', 'NCRYPT_STAND_IN'] : ['PATH'];

// What the tests' child processes have of the environment, and nothing of this machine's own TPM,
// tokens and keys. Modules registered with p11-kit would be asked otherwise; they write to standard
// error, and some write files.
export const essentialEnvironment: NodeJS.ProcessEnv = {
  ...Object.fromEntries(essential.map((name) => [name, process.env[name]])),
  DEVICE_KEY_PKCS11_MODULE: '/nonexistent/pkcs11.so',
};

// A command that the kernel ends when this process is gone.
export function tied(command: string[]): [program: string, ...args: string[]] {
  const [program = '', ...args] = onWindows
    ? command
    : ['setpriv', '--pdeathsig', 'KILL', ...command];
  return [program, ...args];
}
