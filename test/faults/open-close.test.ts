// Stores that are opened, used and closed again and again leave nothing in the process and in the TPM.
import { runChild } from '../support/child';
import { TestMachine } from '../support/machine';
import { connectionPayload, secondsAhead } from '../support/payloads';
import { report } from './faults';

jest.setTimeout(900_000);
const cycles = 1_000;
const mostGrowth = 8 * 2 ** 20;

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
      grownBytes: number;
    }>(
      'let-go.cjs',
      {
        ...{ options: machine.options, scenario: 'open, sign and close', cycles },
        params: { keyId, payload },
      },
      { nodeArguments: ['--expose-gc'], limitMs: 800_000 },
    );
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    const { before, after, grownBytes } = output;
    expect(after.threads).toBeLessThanOrEqual(before.threads);
    expect(after.descriptors).toBeLessThanOrEqual(before.descriptors);
    expect(grownBytes).toBeLessThan(mostGrowth);
    for (const kind of ['transient', 'loaded-session', 'saved-session']) {
      expect({ kind, handles: await machine.tpm.getcap(`handles-${kind}`) }).toEqual({
        kind,
        handles: '',
      });
    }
    const kibibytes = Math.round(grownBytes / 1024);
    report(
      'open, sign and close, a TPM',
      cycles,
      `nothing left over; memory from cycle ${cycles / 5} on: ${kibibytes} KiB`,
    );
  } finally {
    await machine.stop();
  }
});
