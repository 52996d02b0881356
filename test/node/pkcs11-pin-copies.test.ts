// How often a PIN occurs in the memory of a process that has used it.
import { randomBytes } from 'node:crypto';
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { Child } from '../support/child';
import { binding } from '../support/payloads';
import { SoftHsm, softHsmModule } from '../support/softhsm';

// As long as a std::string without allocated memory: moving one leaves the text behind, without its
// first byte.
const pin = randomBytes(7).toString('hex');

let hsm: SoftHsm;
let home: string;

beforeAll(async () => {
  hsm = await SoftHsm.make();
  await hsm.addToken('device keys', pin);
  home = await mkdtemp('/tmp/dk-home-');
  await writeFile(path.join(home, 'pin'), pin, { mode: 0o600 });
});
afterAll(async () => {
  await hsm.remove();
  await rm(home, { recursive: true });
});

function occurrences(bytes: Buffer, text: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + 1)) ++count;
  return count;
}

// In UTF-8 and in UTF-16, in all memory that the process can write to.
async function countInMemory(pid: number, text: string): Promise<number> {
  const maps = await readFile(`/proc/${pid}/maps`, 'latin1');
  const memory = await open(`/proc/${pid}/mem`);
  let count = 0;
  for (const [, start = '', end = ''] of maps.matchAll(/^([0-9a-f]+)-([0-9a-f]+) rw/gm)) {
    const bytes = Buffer.alloc(parseInt(end, 16) - parseInt(start, 16));
    const { bytesRead } = await memory
      .read(bytes, 0, bytes.length, parseInt(start, 16))
      .catch(() => ({ bytesRead: 0 })); // [vvar] and similar areas cannot be read
    const read = bytes.subarray(0, bytesRead);
    count += occurrences(read, Buffer.from(text, 'latin1'));
    count += occurrences(read, Buffer.from(text, 'utf16le'));
  }
  await memory.close();
  return count;
}

async function copiesOfPin(how: 'file' | 'string' | 'function'): Promise<number> {
  const input = {
    how,
    pinFile: path.join(home, 'pin'),
    options: {
      directory: path.join(home, how),
      tcti: 'device:/dev/no-tpm-here',
      pkcs11: { module: softHsmModule },
    },
    params: { ...binding, protectionPolicy: 'allow_os_protected_nonextractable' },
  };
  const child = new Child<unknown>('pin-copies.cjs', input, {
    env: hsm.environment,
    nodeArguments: ['--expose-gc'],
  });
  await child.printed('keyId');
  const count = await countInMemory(child.pid, pin.slice(1));
  child.kill('SIGKILL');
  await child.result;
  return count;
}

test.each(['string', 'function'] as const)(
  'a PIN given as a %s leaves no more copies in memory than one in a file',
  async (how) => {
    const fromFile = await copiesOfPin('file');
    expect(fromFile).toBeGreaterThan(0); // the program's own string
    expect(await copiesOfPin(how)).toBeLessThanOrEqual(fromFile);
  },
);
