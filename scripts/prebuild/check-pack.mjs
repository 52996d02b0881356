// `npm pack` runs this: fails unless prebuilds/ has the addon of every target in cmake/toolchains/targets.json,
// as prebuilds/manifest.json describes it. A package without them makes its users compile.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

const root = path.join(import.meta.dirname, '../..');
const readJson = (file) => JSON.parse(readFileSync(path.join(root, file), 'utf8'));

const targets = readJson('cmake/toolchains/targets.json');
const manifest = readJson('prebuilds/manifest.json');

function problemOf(target) {
  const entry = manifest[target];
  if (!entry) return 'prebuilds/manifest.json does not have it';
  const file = path.join(root, 'prebuilds', entry.file);
  if (!existsSync(file)) return `prebuilds/${entry.file} is missing`;
  const sha256 = createHash('sha256').update(readFileSync(file)).digest('hex');
  return sha256 === entry.sha256 ? undefined : `prebuilds/${entry.file} has another SHA-256`;
}

const problems = Object.keys(targets)
  .map((target) => [target, problemOf(target)])
  .filter(([, problem]) => problem);

if (problems.length > 0 && process.env.DEVICE_KEY_PACK_WITHOUT_PREBUILDS !== '1') {
  for (const [target, problem] of problems) console.error(`pack: ${target}: ${problem}`);
  console.error(
    'pack: run `npm run prebuild` first, or set DEVICE_KEY_PACK_WITHOUT_PREBUILDS=1 to make a package ' +
      'whose users have to compile the addon where it has none',
  );
  process.exitCode = 1;
}
