// The start of a process: `require`, opening a store, and the first signature; and the addon's
// size.
import { execFile } from 'node:child_process';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

import { DeviceKeyStore } from 'node-device-key';

import { addon, root } from '../support/paths.mjs';
import { owner, payload } from '../support/payload.mjs';
import { startSoftwareTpm } from '../support/software-tpm.mjs';
import { rounded, spread } from '../support/statistics.mjs';

const execute = promisify(execFile);

const firstUse = `
  const { performance } = require('node:perf_hooks');
  const [root, directory, tcti, keyId, payload] = process.argv.slice(1);
  gc();
  const rss = process.memoryUsage().rss;
  const start = performance.now();
  const { DeviceKeyStore } = require(root);
  const required = performance.now();
  const grown = process.memoryUsage().rss - rss;
  const opening = performance.now();
  const store = DeviceKeyStore.open({ directory, tcti, allowSimulator: true });
  const opened = performance.now();
  store.sign({ keyId, payload: JSON.parse(payload) }).then(() => {
    const signed = performance.now();
    console.log(
      JSON.stringify([required - start, grown / 2 ** 20, opened - opening, signed - opened]),
    );
  });`;

async function strippedSize(directory) {
  const stripped = path.join(directory, 'stripped.node');
  await execute('strip', ['--strip-all', '-o', stripped, addon]);
  return (await stat(stripped)).size;
}

export async function start(directories, quick) {
  const directory = `${directories.disk}/start`;
  const tpm = await startSoftwareTpm();
  try {
    const store = DeviceKeyStore.open({ directory, tcti: tpm.tcti, allowSimulator: true });
    const { keyId } = await store.create(owner);
    await store.close();
    const runs = [];
    for (let i = 0; i < (quick ? 5 : 51); i += 1) {
      const { stdout } = await execute(process.execPath, [
        ...['--expose-gc', '-e', firstUse, root],
        ...[directory, tpm.tcti, keyId, JSON.stringify(payload())],
      ]);
      runs.push(JSON.parse(stdout));
    }
    const column = (index) => spread(runs.map((run) => run[index]));
    return {
      'require, ms': column(0),
      'require, MiB RSS': column(1),
      'load the addon and open a store, ms': column(2),
      'first signature after that, ms': column(3),
      'addon, stripped, MiB': { median: rounded((await strippedSize(directory)) / 2 ** 20) },
    };
  } finally {
    await tpm.stop();
  }
}
