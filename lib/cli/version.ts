import { readFileSync } from 'node:fs';
import path from 'node:path';

const manifest = path.join(__dirname, '../../package.json');

/** The package's version. */
export const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string };
