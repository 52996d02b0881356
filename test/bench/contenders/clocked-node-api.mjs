// The Node API with a clock at its TPM's socket (native/tpm_clock.cc): measures the time of a
// signature without the TPM's part.
import { readFile, writeFile } from 'node:fs/promises';

import { nativeProgram } from '../support/paths.mjs';
import { nodeApi } from './node-api.mjs';

const capacity = 2 ** 14; // commands; more than in a burst

export async function clockedNodeApi(tcti, directory) {
  const file = `${directory}.clock`;
  await writeFile(file, new BigUint64Array(1 + capacity));
  const worker = await nodeApi(tcti, directory, {
    LD_PRELOAD: nativeProgram('tpm_clock.so'),
    DEVICE_KEY_TPM_CLOCK: file,
  });

  async function read() {
    const { buffer } = Uint8Array.from(await readFile(file));
    const [commands, ...nanoseconds] = new BigUint64Array(buffer);
    return { commands: Number(commands), nanoseconds };
  }

  /** The time of each operation without its one TPM command. */
  async function run(operation, count) {
    if (count > capacity) throw new RangeError(`at most ${capacity} commands`);
    const { commands: before } = await read();
    const total = await worker.run(operation, count);
    const { commands, nanoseconds } = await read();
    if (commands - before !== count) {
      throw new Error(`${count} × ${operation} took ${commands - before} commands to the TPM`);
    }
    return total.map((spent, i) => spent - Number(nanoseconds[(before + i) % capacity]));
  }

  try {
    await worker.run('sign', 1); // loads the key
  } catch (error) {
    await worker.stop();
    throw error;
  }
  return { ...worker, run };
}
