// Announcements of keys on a token that is out, which no creation can sweep, do not delay creations. Only
// keys in a token are announced.
import { randomBytes } from 'node:crypto';
import { readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { runChild } from '../support/child';
import { binding } from '../support/payloads';
import { report } from './faults';
import { tokenHome, type Home } from './homes';

jest.setTimeout(900_000);
const announcements = 2_000;

async function creations(home: Home, count: number): Promise<number[]> {
  const params = { ...binding, protectionPolicy: 'allow_os_protected_nonextractable' };
  const { output, stderr } = await runChild<number[] | null>(
    '../../faults/children/creations.cjs',
    { options: home.options, params, creations: count },
    { env: home.environment, limitMs: 120_000 },
  );
  if (!output) throw new Error(`a key could not be created: ${stderr}`);
  return output;
}

// Announcements, older than a sweep leaves alone, of keys on a token that is gone.
async function announceInVain(directory: string): Promise<void> {
  const gone = await tokenHome();
  const options = { ...gone.options, directory: path.join(path.dirname(gone.directory), 'one') };
  const { output } = await runChild<{ result: { keyId: string } }>(
    'use-store.cjs',
    {
      options,
      method: 'create',
      params: { ...binding, protectionPolicy: 'allow_os_protected_nonextractable' },
    },
    { env: gone.environment },
  );
  const file = path.join(options.directory, `${output.result.keyId}.json`);
  const { provider, handle } = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;
  await gone.stop();

  const text = `${JSON.stringify({ version: 1, provider, handle })}\n`;
  const threeHoursAgo = Date.now() / 1000 - 3 * 3600;
  for (let i = 0; i < announcements; i += 1) {
    const keyId = `dk_osn_${randomBytes(32).toString('base64url')}`;
    const announcement = path.join(directory, `${keyId}.pending`);
    await writeFile(announcement, text, { mode: 0o600 });
    await utimes(announcement, threeHoursAgo, threeHoursAgo);
  }
}

test('they do not delay creations in a token', async () => {
  const home = await tokenHome();
  try {
    const [usualMs] = await creations(home, 1);
    await announceInVain(home.directory);
    const elapsedMs = await creations(home, 3);
    expect(Math.max(...elapsedMs)).toBeLessThan(3_000 + 3 * usualMs!);
    // None was deleted: the token may come back.
    expect(await readdir(home.directory)).toHaveLength(announcements);
    report(
      'creations beside announcements, a PKCS#11 token',
      announcements,
      `the first took ${elapsedMs[0]!.toFixed()} ms; without them ${usualMs!.toFixed()} ms`,
    );
  } finally {
    await home.stop();
  }
});
