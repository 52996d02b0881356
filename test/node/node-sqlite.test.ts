// The stores on node:sqlite, which the newer versions of Node.js have: the same tests as on better-sqlite3.
// scripts/bootstrap installs these versions (test/support/bundlers), unless npm's registry is out of reach.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';

const root = path.join(__dirname, '../..');

describe.each(['node-22', 'node-24'])('%s', (version) => {
  const node = path.join(root, `.cache/bundlers/node_modules/${version}/bin/node`);
  const testWithNode = existsSync(node) ? test : test.skip;

  testWithNode.each([
    ['the nonce store', 'verify-databases'],
    ['the key registry', 'key-registry'],
  ])(
    '%s on node:sqlite',
    async (_, suite) => {
      const { stdout } = await promisify(execFile)(
        node,
        [
          path.join(root, 'node_modules/jest/bin/jest.js'),
          ...['--json', '--testNamePattern', 'node:sqlite', `test/node/${suite}.test.ts`],
        ],
        { cwd: root },
      ).catch((error: unknown) => error as { stdout: string });
      const { numPassedTests, numFailedTests } = JSON.parse(stdout) as Record<string, number>;
      expect(numFailedTests).toBe(0);
      expect(numPassedTests).toBeGreaterThan(5);
    },
    180_000,
  );
});
