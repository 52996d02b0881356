// Loads the samples of one page: the files 1.mjs, 2.json, … of the working directory, which the test
// makes of the page's text.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const require = createRequire(import.meta.url);
let loads = 0;

/**
 * Runs a program of the page, and returns its exports and its top-level declarations. Each call runs
 * it again. Of a JSON sample it returns the value, of others the text.
 *
 * @param {number} number its place on the page, from 1
 * @param {object} [options]
 * @param {object} [options.globals] the names that the page presupposes
 *   (test/support/sample-surroundings.d.ts)
 * @param {Record<string, string>} [options.replace] text that a reader of the page replaces too,
 *   such as a path, and its replacement here
 */
export async function load(number, { globals = {}, replace = {} } = {}) {
  Object.assign(globalThis, globals);
  const original = readdirSync('.').find((file) => path.parse(file).name === String(number));
  let text = readFileSync(original, 'utf8');
  for (const [part, replacement] of Object.entries(replace)) {
    if (!text.includes(part)) throw new Error(`sample ${number} of the page has no ${part}`);
    text = text.replaceAll(part, () => replacement);
  }
  const extension = path.extname(original);
  if (extension === '.json') return JSON.parse(text);
  if (!/^\.[cm]js$/.test(extension)) return text;
  const file = path.resolve(`${number}-load-${(loads += 1)}${extension}`);
  writeFileSync(file, text);
  return extension === '.cjs' ? require(file) : import(pathToFileURL(file).href);
}
