// Stores that are opened, used and closed again and again leave nothing in the process and in the TPM.
import { runChild } from '../support/child';
import { TestMachine } from '../support/machine';
import { connectionPayload, secondsAhead } from '../support/payloads';
import { report, whole } from './faults';

jest.setTimeout(900_000);
const cycles = whole ? 8_000 : 2_000;
// For the second half. A leak of 4 KiB in each cycle would be 4,000 KiB or more; without a leak the growth is
// below 500 KiB. The first half grows more, because Node fills its caches.
const mostKibibytes = 1_500;

interface Held {
  threads: number;
  descriptors: number;
}

test('opening the TPM, signing and closing leaves no memory, thread, descriptor or handle', async () => {
  const machine = await TestMachine.start();
  try {
    const keyId = await machine.enroll();
    const payload = connectionPayload({ tokenExpiresAt: secondsAhead(800) });
    const { output, exitCode, stderr } = await runChild<{
      before: Held;
      after: Held;
      grownKibibytes: { firstHalf: number; secondHalf: number };
    }>(
      'let-go.cjs',
      {
        ...{ options: machine.options, scenario: 'open, sign and close', cycles },
        params: { keyId, payload },
      },
      {
        // One arena, a young generation that keeps its size, and no optimizing compiler or other threads
        // of V8: all of them take memory at random moments.
        env: { MALLOC_ARENA_MAX: '1' },
        nodeArguments: ['--expose-gc', '--max-semi-space-size=1', '--no-opt', '--single-threaded'],
        limitMs: 800_000,
      },
    );
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    const { before, after, grownKibibytes } = output;
    expect(after.threads).toBeLessThanOrEqual(before.threads);
    expect(after.descriptors).toBeLessThanOrEqual(before.descriptors);
    expect(grownKibibytes.secondHalf).toBeLessThan(mostKibibytes);
    for (const kind of ['transient', 'loaded-session', 'saved-session']) {
      expect({ kind, handles: await machine.tpm.getcap(`handles-${kind}`) }).toEqual({
        kind,
        handles: '',
      });
    }
    const { firstHalf, secondHalf } = grownKibibytes;
    report(
      'open, sign and close, a TPM',
      cycles,
      `nothing left over; the halves grew by ${firstHalf} and ${secondHalf} KiB`,
    );
  } finally {
    await machine.stop();
  }
});
