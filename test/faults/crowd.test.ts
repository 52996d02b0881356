// Many processes and many worker threads use one store.
import { runChild } from '../support/child';
import { connectionPayload, secondsAhead } from '../support/payloads';
import { expectNothingLost, live, report, whole } from './faults';
import { tokenHome, tpmHome } from './homes';

jest.setTimeout(3_600_000);
const processes = 8;
const processSeconds = whole ? 150 : 5;
const threads = 16;
const payload = () => connectionPayload({ tokenExpiresAt: secondsAhead(600) });

// swtpm serves one connection at a time. guest.test.ts does the same through /dev/tpmrm0.
test('processes that create, sign, list and delete in one token do not disturb each other', async () => {
  const home = await tokenHome();
  try {
    const begin = Date.now();
    const lives = await Promise.all(
      Array.from({ length: processes }, () => live(home, { seconds: processSeconds })),
    );
    expect(Date.now() - begin).toBeGreaterThan(processSeconds * 1000);
    const steps = lives.flatMap((life) => life.steps);
    const failed = steps.filter(({ state }) => state === 'failed');
    // While another process logs in, SoftHSM may answer CKR_GENERAL_ERROR to C_GenerateKeyPair. The key may
    // exist nevertheless, so the store does not repeat this call; it sweeps the key later.
    const refused = failed.filter(
      ({ name, errorMessage }) =>
        name === 'create' && errorMessage.startsWith('could not make a key on the token'),
    );
    expect(failed.filter((step) => !refused.includes(step))).toEqual([]);
    expect(lives.map(({ ended }) => ended)).toEqual(Array(processes).fill('exit 0'));
    await expectNothingLost(home, steps);
    // Each process has completed at least one whole life of a key.
    for (const life of lives) {
      expect(life.steps).toContainEqual(expect.objectContaining({ name: 'delete', state: 'done' }));
    }
    report(
      `${processes} processes for ${processSeconds} s, a PKCS#11 token`,
      steps.length / 2,
      `SoftHSM refused ${refused.length} creations, no key lost`,
    );
  } finally {
    await home.stop();
  }
});

test('worker threads that are terminated in the middle of it leave the store whole', async () => {
  const home = await tpmHome();
  try {
    const { output, exitCode } = await runChild<number>(
      '../../faults/children/workers.cjs',
      { options: home.options, payload: payload(), threads, seconds: whole ? 120 : 2 },
      { env: home.environment, limitMs: 600_000 },
    );
    expect(exitCode).toBe(0);
    await expectNothingLost(home, []);
    report(`${threads} worker threads, terminated and started anew`, output, 'store whole');
  } finally {
    await home.stop();
  }
});
