// Killing a process loses no key, and leaves no file and no unrecorded key in a token.
import { mkdtemp, rm } from 'node:fs/promises';

import {
  callsOfOneRun,
  expectNothingLost,
  faultLibrary,
  homes,
  live,
  report,
  tpmHome,
  whole,
  type Home,
} from './faults';

jest.setTimeout(3_600_000);
const randomKills = whole ? 800 : 8;
const callsBetweenKills = whole ? 1 : 15;

let scratch: string;
let library: string;
let home: Home;

beforeAll(async () => {
  scratch = await mkdtemp('/tmp/dk-crash-');
  library = await faultLibrary(scratch);
});
afterAll(() => rm(scratch, { recursive: true }));
afterEach(() => home.stop());

describe.each(homes)('with keys in %s', (name, start) => {
  test('a kill at any system call of the addon loses nothing', async () => {
    home = await start();
    const calls = (await callsOfOneRun(home, library)).length;
    expect(calls).toBeGreaterThan(50);
    let kills = 0;
    for (let call = 1; call <= calls; call += callsBetweenKills) {
      const life = await live(home, {
        env: { LD_PRELOAD: library, FAULT_AT_CALL: `kill:${call}` },
      });
      kills += life.ended === 'SIGKILL' ? 1 : 0;
      await expectNothingLost(home, life.steps);
    }
    expect(kills).toBeGreaterThan(calls / callsBetweenKills / 2);
    report(`kill at a system call, ${name}`, kills, 'no key lost, no file left over');
  });
});

// SoftHSM rewrites its token's own file at each login, so a kill inside that module can destroy the
// token with all keys. The test above kills only between the module's calls.
test('a kill at a random moment loses nothing with keys in a TPM', async () => {
  home = await tpmHome();
  let kills = 0;
  for (let i = 0; i < randomKills; ++i) {
    const life = await live(home, { killAfterMs: Math.random() * 60, lives: 1_000 });
    kills += life.ended === 'SIGKILL' ? 1 : 0;
    await expectNothingLost(home, life.steps);
  }
  expect(kills).toBe(randomKills);
  report('kill at a random moment, a TPM', kills, 'no key lost, no file left over');
});
