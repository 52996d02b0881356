// tpm2-tools, as scripts use them: one process each for the parent, the key and the signature.
import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

import { time } from '../support/worker.mjs';

const execute = promisify(execFile);

export async function tpm2Tools(tcti, directory) {
  await mkdir(directory);
  await writeFile(path.join(directory, 'digest'), Buffer.alloc(32));
  const tool = (name, ...args) =>
    execute(name, args, { cwd: directory, env: { ...process.env, TPM2TOOLS_TCTI: tcti } });
  const primary = () =>
    tool('tpm2_createprimary', '-C', 'o', '-G', 'ecc', '-c', 'parent.ctx', '-Q');
  const create = () =>
    tool(
      'tpm2_create',
      ...['-C', 'parent.ctx', '-G', 'ecc256:ecdsa-sha256', '-p', 'secret'],
      ...['-u', 'key.pub', '-r', 'key.priv', '-Q'],
    );
  const load = () =>
    tool(
      'tpm2_load',
      ...['-C', 'parent.ctx', '-u', 'key.pub', '-r', 'key.priv', '-c', 'key.ctx', '-Q'],
    );
  const sign = () =>
    tool(
      'tpm2_sign',
      ...['-c', 'key.ctx', '-p', 'secret', '-g', 'sha256', '-d', '-o', 'signature', 'digest'],
    );
  const operations = { create: [primary, create], sign: [primary, load, sign] };

  async function timed(steps) {
    let total = 0;
    for (const step of steps) {
      const [spent] = await time(step, 1);
      total += spent;
      // Without a resource manager each process leaves an object in a slot of the TPM. The flush is
      // not measured.
      await tool('tpm2_flushcontext', '-t');
    }
    return total;
  }
  await timed(operations.create);
  return {
    async run(operation, count) {
      const times = [];
      while (times.length < count) times.push(await timed(operations[operation]));
      return times;
    },
  };
}
