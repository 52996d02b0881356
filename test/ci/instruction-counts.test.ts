// The cost of the parts of a signature without I/O, in instructions, which do not depend on the
// machine's load. The limits are a quarter above the counts with g++ 12 at -O2, glibc 2.36 and
// OpenSSL 3.0: a regression exceeds them, another patch release of these does not. Lower the limits
// when the code gets faster.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const program = path.join(__dirname, '../../build-cmake/test/bench/native/count_instructions');

/** Instructions of one call, by the operation's name. */
function countInstructions(): Map<string, number> {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'device-key-callgrind-'));
  try {
    const rounds = Number(
      execFileSync(
        'valgrind',
        [
          ...['--tool=callgrind', '--collect-atstart=no'],
          ...[`--callgrind-out-file=${directory}/counts`, program],
        ],
        {
          encoding: 'utf8',
          stdio: ['ignore', 'pipe', 'ignore'],
          // Without AVX2 and SHA extensions, so that every x86-64 runs the same assembler.
          env: { ...process.env, OPENSSL_ia32cap: ':0' },
        },
      ),
    );
    return new Map(
      readdirSync(directory)
        .map((name) => readFileSync(path.join(directory, name), 'utf8'))
        .flatMap((dump) => {
          const name = /^desc: Trigger: Client Request: (.*)$/m.exec(dump)?.[1];
          const total = /^summary: (\d+)$/m.exec(dump)?.[1];
          return name === undefined ? [] : [[name, Number(total) / rounds] as const];
        }),
    );
  } finally {
    rmSync(directory, { recursive: true });
  }
}

let counts: Map<string, number>;

beforeAll(() => {
  counts = countInstructions();
});

test.each([
  ['decode + rules + signed bytes', 104_000],
  ['refusal', 142_000],
  ['response', 9_000],
  ['SHA-256 of the signed bytes', 23_000],
  ['SPKI of a point, checked', 280_000],
  ['DER of a signature', 14_000],
  ['verify', 1_080_000],
])('%s takes at most %d instructions', (name, limit) => {
  expect(counts.get(name)).toBeLessThanOrEqual(limit);
});

test('every operation that is counted has a limit', () => {
  expect(counts.size).toBe(7);
});
