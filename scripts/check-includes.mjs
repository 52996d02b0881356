// Checks the direction of the includes between the directories of native/:
//
//   addon -> keystore -> {protocol, providers} -> {crypto, platform}
//
// and that Node's own headers stay in addon/.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const below = ['crypto', 'platform'];
const mayInclude = {
  addon: ['keystore', 'protocol', 'providers', ...below],
  keystore: ['protocol', 'providers', ...below],
  protocol: below,
  providers: below,
  // The only exception type of the native code is in platform/.
  crypto: ['platform'],
  platform: [],
};
// Both directories use the names and classes of keys.
const exceptions = [{ from: 'providers', include: 'protocol/key_id.h' }];
const nodeHeaders = /^(napi|node_api|js_native_api|node|v8|uv)\b/;

const native = join(import.meta.dirname, '../native');
const complaints = [];

for (const file of readdirSync(native, { recursive: true }).filter((name) =>
  /\.(cc|h|mm)$/.test(name),
)) {
  const [room, provider] = file.split('/');
  const text = readFileSync(join(native, file), 'utf8');
  for (const [, open, include] of text.matchAll(/^\s*#\s*include\s*(["<])([^">]+)[">]/gm)) {
    const complain = (why) => complaints.push(`native/${file} includes ${include}: ${why}`);
    if (nodeHeaders.test(include)) {
      if (room !== 'addon') complain('only addon/ may know Node.js');
      continue;
    }
    if (open === '<') continue;
    const [toRoom, toProvider] = include.split('/');
    if (!(toRoom in mayInclude)) {
      complain('paths start with a room of native/');
    } else if (toRoom !== room) {
      const excepted = exceptions.some((e) => e.from === room && e.include === include);
      if (!excepted && !mayInclude[room]?.includes(toRoom)) {
        complain(`${room}/ may not include ${toRoom}/`);
      }
    } else if (
      room === 'providers' &&
      file.split('/').length > 2 &&
      include.split('/').length > 2 &&
      provider !== toProvider
    ) {
      complain('a provider does not know another');
    }
  }
}

for (const complaint of complaints) console.error(complaint);
process.exitCode = complaints.length > 0 ? 1 : 0;
