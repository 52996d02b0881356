'use strict';

// Also for code in this process (test/support/platform.ts): tests must not use the modules of this
// machine.
process.env.DEVICE_KEY_PKCS11_MODULE ??= '/nonexistent/pkcs11.so';

/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  roots: ['<rootDir>/test/node', '<rootDir>/test/faults'],
  testMatch: ['**/*.test.ts'],
  // Types are checked by `npm run lint`; the tests themselves only need to run.
  transform: {
    '^.+\\.ts$': ['ts-jest', { tsconfig: 'tsconfig.test.json', diagnostics: false }],
  },
  // Generous, because the tests use real TPMs (software TPMs, and one behind a kernel in a virtual
  // machine).
  testTimeout: 60_000,
  maxWorkers: 2,
};
