// The Node API in a separate process: node node-api.mjs TCTI DIRECTORY
import { fileURLToPath } from 'node:url';

import { DeviceKeyStore } from 'node-device-key';

import { owner, payload } from '../support/payload.mjs';
import { serve, startWorker } from '../support/worker.mjs';

const thisFile = fileURLToPath(import.meta.url);

export const nodeApi = (tcti, directory, env) =>
  startWorker(process.execPath, [thisFile, tcti, directory], env);

async function main(tcti, directory) {
  const store = DeviceKeyStore.open({ directory, tcti, allowSimulator: true });
  const keyIds = [];
  for (let i = 0; i < 16; i += 1) keyIds.push((await store.create(owner)).keyId);
  const fixed = payload();
  let next = 0;
  await serve({
    sign: () => store.sign({ keyId: keyIds[0], payload: fixed }),
    sign16: () => store.sign({ keyId: keyIds[next++ % keyIds.length], payload: fixed }),
    create: () => store.create(owner),
    // Everything but the signature: decoding, queue, record, promise.
    public: () => store.public({ keyId: keyIds[0] }),
  });
  await store.close();
}

if (process.argv[1] === thisFile) await main(...process.argv.slice(2));
