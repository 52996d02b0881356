import { readFileSync } from 'node:fs';
import path from 'node:path';

import { createDeviceKey } from 'node-device-key';

import { assertLike } from './like.mjs';
import { load } from './load.mjs';
import { owner } from './payloads.mjs';

export default {
  async 'shows the record of a key in a TPM'() {
    const { keyId } = await createDeviceKey(owner);
    const file = path.join(process.env.DEVICE_KEY_HOME, `${keyId}.json`);
    assertLike(await load(1), JSON.parse(readFileSync(file, 'utf8')), ['keyId', 'parentName']);
  },
};
