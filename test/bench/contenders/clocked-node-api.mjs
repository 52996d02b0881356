// The Node API with a clock at its TPM's socket (native/tpm_clock.cc): what a signature takes beside
// the TPM.
import { readFile, writeFile } from 'node:fs/promises';

import { nativeProgram } from '../support/paths.mjs';
import { nodeApi } from './node-api.mjs';

const room = 2 ** 14; // commands; more than a burst has

export async function clockedNodeApi(tcti, directory) {
  const file = `${directory}.clock`;
  await writeFile(file, new BigUint64Array(1 + room));
  const worker = await nodeApi(tcti, directory, {
    LD_PRELOAD: nativeProgram('tpm_clock.so'),
    DEVICE_KEY_TPM_CLOCK: file,
  });

  async function read() {
    const { buffer } = Uint8Array.from(await readFile(file));
    const [commands, ...nanoseconds] = new BigUint64Array(buffer);
    return { commands: Number(commands), nanoseconds };
  }

  /** What each operation took without its one command to the TPM. */
  async function run(operation, count) {
    if (count > room) throw new RangeError(`at most ${room} commands`);
    const { commands: before } = await read();
    const total = await worker.run(operation, count);
    const { commands, nanoseconds } = await read();
    if (commands - before !== count) {
      throw new Error(`${count} × ${operation} took ${commands - before} commands to the TPM`);
    }
    return total.map((spent, i) => spent - Number(nanoseconds[(before + i) % room]));
  }

  try {
    await worker.run('sign', 1); // which loads the key
  } catch (error) {
    await worker.stop();
    throw error;
  }
  return { ...worker, run };
}
