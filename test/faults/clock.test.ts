// A clock that jumps loses no key and stops no operation.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { runChild } from '../support/child';
import { connectionPayload, secondsAhead } from '../support/payloads';
import { expectNothingLost, faultLibrary, report } from './faults';
import { homes } from './homes';

const day = 86_400;
const jumps = [-day, 400 * day, 0, -10 * 365 * day];

let scratch: string;
beforeAll(async () => {
  scratch = await mkdtemp('/tmp/dk-clock-');
});
afterAll(() => rm(scratch, { recursive: true }));

test.each(homes)('jumps back and forth with keys in %s', async (name, start) => {
  const home = await start();
  try {
    const library = await faultLibrary(scratch);
    const clockFile = path.join(scratch, 'clock');
    await writeFile(clockFile, Buffer.alloc(8));
    const { output, stderr } = await runChild(
      '../../faults/children/clock.cjs',
      {
        options: home.options,
        payload: connectionPayload({ tokenExpiresAt: secondsAhead(600) }),
        clockFile,
        jumps,
      },
      { env: { ...home.environment, LD_PRELOAD: library, CLOCK_OFFSET: clockFile } },
    );
    expect(stderr).toBe('');
    expect(output).toEqual(
      jumps.map((offsetSeconds) => ({
        offsetSeconds,
        sign: 'fulfilled',
        listsBoth: true,
        remove: 'fulfilled',
      })),
    );
    await expectNothingLost(home, []);
    report(`clock jumps, ${name}`, jumps.length, 'every operation succeeds');
  } finally {
    await home.stop();
  }
});
