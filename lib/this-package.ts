/* eslint-disable @typescript-eslint/no-require-imports -- the file is outside of `rootDir`, and bundlers
 * can follow a literal path. */
/** This package's name and version. */
export const thisPackage = require('../package.json') as { name: string; version: string };
