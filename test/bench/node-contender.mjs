// The Node API as a contender: node node-contender.mjs TCTI DIRECTORY
import { DeviceKeyStore } from 'node-device-key';

import { owner, payload } from './payload.mjs';
import { serve } from './worker.mjs';

const [tcti, directory] = process.argv.slice(2);
const store = DeviceKeyStore.open({ directory, tcti, allowSimulator: true });
const keyIds = [];
for (let i = 0; i < 16; i += 1) keyIds.push((await store.create(owner)).keyId);
const fixed = payload();
let next = 0;

await serve({
  sign: () => store.sign({ keyId: keyIds[0], payload: fixed }),
  sign16: () => store.sign({ keyId: keyIds[next++ % keyIds.length], payload: fixed }),
  create: () => store.create(owner),
  // The way there and back without a signature: decoding, queue, record, promise.
  public: () => store.public({ keyId: keyIds[0] }),
});
await store.close();
