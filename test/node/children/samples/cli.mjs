import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { assertLike } from './like.mjs';
import { load } from './load.mjs';

const main = fileURLToPath(new URL('../../../../dist/cli/main.js', import.meta.url));

export default {
  async 'shows the error for a key that is not there'() {
    const keyId = `dk_tpm_${Buffer.alloc(32).toString('base64url')}`;
    const args = [main, 'public', keyId, '--json'];
    const { stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    assertLike(await load(1), JSON.parse(stderr));
  },
};
