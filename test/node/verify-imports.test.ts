import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { preProcessFile } from 'typescript';

const lib = join(__dirname, '../../lib');
const sources = [
  'verify.ts',
  'verify.mts',
  ...readdirSync(join(lib, 'verify')).map((file) => `verify/${file}`),
];

test.each(sources)('%s reaches nothing but node:crypto its own room and lib/own.ts', (source) => {
  const { importedFiles } = preProcessFile(readFileSync(join(lib, source), 'utf8'));
  const foreign = importedFiles
    .map(({ fileName }) => fileName)
    .filter(
      (name) => !/^(node:crypto|\.\.\/own|\.\/[a-z0-9-]+|\.\/verify\/[a-z-]+|\.\/verify\.js)$/.test(name),
    )
    .filter((name) => name !== '../../types/v2'); // types alone
  expect(foreign).toEqual([]);
});
