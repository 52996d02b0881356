import { readdirSync, readFileSync } from 'node:fs';
import { join, posix, sep } from 'node:path';

import { preProcessFile } from 'typescript';

const lib = join(__dirname, '../../lib');
const sources = [
  'verify.ts',
  'verify.mts',
  ...readdirSync(join(lib, 'verify'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => `verify/${file.replaceAll(sep, '/')}`),
  'protocol/payload-types.ts',
];

const isAllowed = /^(own|verify(\.js)?|verify\/[a-z0-9/-]+|protocol\/payload-types)$/;
const typesAlone = ['../types/v2', '../types/extensions', 'dpop/types'];

test.each(sources)(
  '%s imports only node:crypto, its own files, lib/own.ts and the payload types',
  (source) => {
    const { importedFiles } = preProcessFile(readFileSync(join(lib, source), 'utf8'));
    const foreign = importedFiles
      .map(({ fileName }) => fileName)
      .filter((name) => name !== 'node:crypto')
      .map((name) => (name.startsWith('.') ? posix.join(posix.dirname(source), name) : name))
      .filter((name) => !isAllowed.test(name) && !typesAlone.includes(name));
    expect(foreign).toEqual([]);
  },
);
