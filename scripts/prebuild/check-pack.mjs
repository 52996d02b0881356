// `npm pack` runs this: fails unless prebuilds/ has the addon of every target in cmake/toolchains/targets.json,
// as prebuilds/manifest.json describes it, made from these sources. A package without them makes its users
// compile.
import { readFileSync } from 'node:fs';
import path from 'node:path';

import { problemOf } from './published.mjs';

const file = path.join(import.meta.dirname, '../../cmake/toolchains/targets.json');
const problems = Object.keys(JSON.parse(readFileSync(file, 'utf8')))
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
