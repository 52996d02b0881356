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
  const [directory, provider] = file.split('/');
  const text = readFileSync(join(native, file), 'utf8');
  for (const [, open, include] of text.matchAll(/^\s*#\s*include\s*(["<])([^">]+)[">]/gm)) {
    const complain = (why) => complaints.push(`native/${file} includes ${include}: ${why}`);
    if (nodeHeaders.test(include)) {
      if (directory !== 'addon') complain("only addon/ may include Node's headers");
      continue;
    }
    if (open === '<') continue;
    const [toDirectory, toProvider] = include.split('/');
    if (!(toDirectory in mayInclude)) {
      complain('paths start with a directory of native/');
    } else if (toDirectory !== directory) {
      const excepted = exceptions.some((e) => e.from === directory && e.include === include);
      if (!excepted && !mayInclude[directory]?.includes(toDirectory)) {
        complain(`${directory}/ may not include ${toDirectory}/`);
      }
    } else if (
      directory === 'providers' &&
      file.split('/').length > 2 &&
      include.split('/').length > 2 &&
      provider !== toProvider
    ) {
      complain('a provider must not include another');
    }
  }
}

for (const complaint of complaints) console.error(complaint);
process.exitCode = complaints.length > 0 ? 1 : 0;
