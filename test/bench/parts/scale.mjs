// Stores with 10 to 10,000 keys. Their records are copies of real ones with new ids. A TPM key does
// not contain its record's id, so each copy works like any other key.
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { DeviceKeyStore } from 'node-device-key';

import { owner, payload } from '../support/payload.mjs';
import { startSoftwareTpm } from '../support/software-tpm.mjs';
import { summary } from '../support/statistics.mjs';
import { time } from '../support/worker.mjs';

const sizes = [10, 100, 1_000, 10_000];

/** Opens a store and adds keys until it has `size`. */
async function openStore(directory, size, tcti) {
  const store = DeviceKeyStore.open({ directory, tcti, allowSimulator: true });
  const originals = [];
  for (let i = 0; i < 10; i += 1) {
    const { keyId } = await store.create(owner);
    originals.push(JSON.parse(await readFile(path.join(directory, `${keyId}.json`), 'utf8')));
  }
  const keyIds = originals.map(({ keyId }) => keyId);
  while (keyIds.length < size) {
    const keyId = `dk_tpm_${randomBytes(32).toString('base64url')}`;
    const record = { ...originals[keyIds.length % originals.length], keyId };
    await writeFile(path.join(directory, `${keyId}.json`), JSON.stringify(record), { mode: 0o600 });
    keyIds.push(keyId);
  }
  return { store, keyIds };
}

function operationsOf({ store, keyIds }) {
  const fixed = payload();
  const anyKey = () => keyIds[Math.floor(Math.random() * keyIds.length)];
  return {
    'sign, a key in use': {
      count: 40,
      run: () => store.sign({ keyId: keyIds[0], payload: fixed }),
    },
    'sign, any key': { count: 20, run: () => store.sign({ keyId: anyKey(), payload: fixed }) },
    create: { count: 10, run: () => store.create(owner) },
    list: { count: 1, run: () => store.list() },
  };
}

/** By operation and number of keys, in microseconds. */
export async function scale(directories, quick) {
  const tpm = await startSoftwareTpm();
  const stores = [];
  try {
    for (const size of sizes) {
      stores.push(await openStore(`${directories.disk}/scale-${size}`, size, tpm.tcti));
    }
    const operations = stores.map(operationsOf);
    const results = {};
    for (const name of Object.keys(operations[0])) {
      const times = sizes.map(() => []);
      for (let round = 0; round <= (quick ? 3 : 12); round += 1) {
        for (let i = 0; i < sizes.length; i += 1) {
          const { count, run } = operations[i][name];
          const measured = await time(run, count);
          if (round > 0) times[i].push(...measured); // the first one is a warm-up
        }
      }
      results[name] = Object.fromEntries(sizes.map((size, i) => [size, summary(times[i])]));
    }
    return results;
  } finally {
    for (const { store } of stores) await store.close();
    await tpm.stop();
  }
}
