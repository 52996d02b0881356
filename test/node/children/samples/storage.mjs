import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';

import { closeDefaultStore, createDeviceKey } from 'node-device-key';

import { owner } from './payloads.mjs';
import { runShell } from './run-shell.mjs';

export default {
  async 'openssl signs with a key, and verifies'() {
    delete process.env.DEVICE_KEY_HOME; // the sample names the usual directory
    const { keyId } = await createDeviceKey(owner);
    await closeDefaultStore(); // swtpm serves one connection at a time
    writeFileSync('message', 'what openssl signs');
    const replace = {
      'dk_tpm_…': keyId,
      'device:/dev/tpmrm0': process.env.DEVICE_KEY_TCTI,
    };
    assert.equal(await runShell(1, { replace }), 'Verified OK\n');
  },
};
