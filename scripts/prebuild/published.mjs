// Whether prebuilt addons are the files that prebuilds/manifest.json describes, made from the sources that
// are here.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { sourcesHash } from './sources.mjs';

const root = path.join(import.meta.dirname, '../..');
const manifest = JSON.parse(readFileSync(path.join(root, 'prebuilds/manifest.json'), 'utf8'));
const sources = sourcesHash(root);

/**
 * Describes the fault of the addon of a target; undefined if it has none.
 *
 * @param {string} folder the prebuilds/ of this checkout or of an installed package
 */
export function problemOf(target, folder = path.join(root, 'prebuilds')) {
  const entry = manifest[target];
  if (!entry) return 'prebuilds/manifest.json does not have it';
  if (entry.sources !== sources) return 'prebuilds/manifest.json describes it from other sources';
  const file = path.join(folder, entry.file);
  if (!existsSync(file)) return `prebuilds/${entry.file} is missing`;
  const sha256 = createHash('sha256').update(readFileSync(file)).digest('hex');
  return sha256 === entry.sha256 ? undefined : `prebuilds/${entry.file} has another SHA-256`;
}
