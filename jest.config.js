'use strict';

// In-process too (test/support/platform.ts): the modules of this machine are none of the tests' business.
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
  // Real TPMs (software ones, and one behind a kernel in a virtual machine) set the pace.
  testTimeout: 60_000,
  maxWorkers: 2,
};
