'use strict';
// For node.exe on Windows (`npm run test:windows`): the tests of test/node/ that are not about a
// software TPM, Unix files or Linux's tools, and those of test/windows/.
const everywhere = [
  'abort',
  'api',
  'app-server',
  'app-server-stdio',
  'cli-life',
  'close',
  'decoder-agreement',
  'event-loop',
  'loading',
  'process-exit',
  'testing',
  'verify-canonical',
  'verify-imports',
  'verify-nonce-store',
  'verify-proof',
  'verify-signature',
  'worker-threads',
];

/** @type {import('jest').Config} */
module.exports = {
  ...require('./jest.config.js'),
  roots: ['<rootDir>/test/node', '<rootDir>/test/windows'],
  testMatch: [
    ...everywhere.map((name) => `<rootDir>/test/node/${name}.test.ts`),
    '<rootDir>/test/windows/*.test.ts',
  ],
  // Ends a test that hangs. Wine takes seconds to start a process on a busy machine.
  testTimeout: 180_000,
  // There is one stand-in key store for all of them.
  maxWorkers: 1,
};
