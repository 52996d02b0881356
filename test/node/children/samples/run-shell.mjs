import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { load } from './load.mjs';

/** The command line of this package, for a shell. */
export const deviceKey = `'${process.execPath}' '${fileURLToPath(
  new URL('../../../../dist/cli/main.js', import.meta.url),
)}'`;

/**
 * Runs a shell sample until a command fails, and returns its output.
 *
 * @param {number} number its place on the page, from 1
 * @param {object} [options]
 * @param {Record<string, string>} [options.replace] as for `load`
 * @param {string} [options.then] commands that use what the sample exports
 */
export async function runShell(number, { replace, then = '' } = {}) {
  const script = await load(number, { replace });
  return execFileSync('bash', ['-euo', 'pipefail', '-c', `${script}\n${then}`], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}
