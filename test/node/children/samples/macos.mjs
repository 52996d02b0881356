import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';

import { load } from './load.mjs';

const read =
  'import json, plistlib, sys; print(json.dumps(plistlib.loads(sys.stdin.buffer.read())))';

export default {
  async 'claims the access group of the keychain'() {
    const list = `<plist version="1.0"><dict>${await load(1)}</dict></plist>`;
    const entitlements = JSON.parse(execFileSync('python3', ['-c', read], { input: list }));
    const team = entitlements['com.apple.developer.team-identifier'];
    const app = entitlements['com.apple.application-identifier'];
    assert.match(app, new RegExp(`^${team}\\.`));
    assert.deepEqual(entitlements['keychain-access-groups'], [app]);
    assert.equal(entitlements['com.apple.security.cs.allow-jit'], true);
  },
};
