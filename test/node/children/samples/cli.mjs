import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { assertLike } from './like.mjs';
import { load } from './load.mjs';
import { report } from '../../../../dist/cli/doctor/report.js';
import { reportText } from '../../../../dist/cli/doctor/text.js';

const main = fileURLToPath(new URL('../../../../dist/cli/main.js', import.meta.url));

export default {
  async 'shows the error for a key that is not there'() {
    const keyId = `dk_tpm_${Buffer.alloc(32).toString('base64url')}`;
    const args = [main, 'public', keyId, '--json'];
    const { stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    assertLike(await load(1), JSON.parse(stderr));
  },

  // The message is native code's: test/node/cli-doctor.test.ts has it on a machine like this.
  async 'shows what doctor says about a TPM that the user may not use'() {
    const [command, ...lines] = (await load(2)).split('\n');
    assert.equal(command, '$ device-key doctor');
    const text = lines.join('\n').trimEnd();
    const [, code, message] = /^error \[(\w+)\]: (.*)$/m.exec(text);
    const directory = '/home/me/.local/share/device-keys';
    const provider = { provider: 'tpm2', protectionClass: 'hardware_tpm', asked: true };
    const details = { tcti: 'device:/dev/tpmrm0' };
    const facts = {
      support: {
        providers: [{ ...provider, available: false, code, message, details }],
        protectionClass: null,
        hardware: false,
        store: { directory, available: true, code: null, message: null },
      },
      directory: { directory, exists: false, mode: null, owner: null, writable: true },
      listed: [],
    };
    const versions = { nodeDeviceKey: '<version>', node: '20.20.2', platform: 'linux-x64' };
    assert.equal(reportText(report(facts, versions)).trimEnd(), text);
  },
};
