// C++ contenders, as processes of native/bench_contender.cc.
import { mkdir } from 'node:fs/promises';

import { nativeProgram } from '../support/paths.mjs';
import { startWorker } from '../support/worker.mjs';

const program = nativeProgram('bench_contender');

export async function bare(tcti, directory) {
  await mkdir(directory);
  return startWorker(program, ['bare', tcti, directory]);
}

export const nativeStore = (tcti, directory) => startWorker(program, ['store', tcti, directory]);
