// Killing a process loses no key, and leaves no file and no unrecorded key in a token.
import { mkdtemp, rm } from 'node:fs/promises';

import { at, callsOfOneRun, expectNothingLost, faultLibrary, live, report, whole } from './faults';
import { homes, servedTokenHome, tpmHome, type Home } from './homes';

jest.setTimeout(3_600_000);
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
      await at(`system call ${call} of ${calls}`, () => expectNothingLost(home, life.steps));
    }
    expect(kills).toBeGreaterThan(calls / callsBetweenKills / 2);
    report(`kill at a system call, ${name}`, kills, 'no key lost, no file left over');
  });
});

// SoftHSM rewrites its token's own file at each login, so a kill inside that module can destroy the
// token with all keys. The test above kills only between the module's calls; here SoftHSM runs in
// another process.
test.each([
  {
    name: 'a TPM',
    start: tpmHome,
    kills: whole ? 800 : 8,
    interrupts: ['create', 'sign', 'delete'],
  },
  {
    name: 'a token behind p11-kit server',
    start: servedTokenHome,
    kills: whole ? 200 : 5,
    // A signature takes one fortieth of the time, and changes nothing in the token.
    interrupts: ['create', 'delete'],
  },
])('$kills kills at random moments lose nothing with keys in $name', async (plan) => {
  home = await plan.start();
  // A machine may be slow, so the moments are those of a process that makes two keys and ends.
  const started = performance.now();
  const { ended, steps } = await live(home, { lives: 2 });
  const withinMs = performance.now() - started;
  expect(ended).toBe('exit 0');
  await expectNothingLost(home, steps);

  const interrupted = new Set<string>();
  for (let i = 0; i < plan.kills; ++i) {
    const killAfterMs = Math.random() * withinMs;
    const life = await live(home, { killAfterMs, lives: 1_000 });
    expect(life.ended).toBe('SIGKILL');
    const last = life.steps.at(-1);
    if (last?.state === 'begin') interrupted.add(last.name);
    await at(`killAfterMs ${killAfterMs} of process ${i + 1}`, () =>
      expectNothingLost(home, life.steps),
    );
  }
  if (whole) expect([...interrupted]).toEqual(expect.arrayContaining(plan.interrupts));
  report(`kill at a random moment, ${plan.name}`, plan.kills, 'no key lost, no file left over');
});
