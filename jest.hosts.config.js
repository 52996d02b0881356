'use strict';
// For scripts/test-hosts.mjs: runs tests of the API with the package that is installed in the
// directory DEVICE_KEY_INSTALLED, instead of this checkout's.

/** @type {import('jest').Config} */
module.exports = {
  ...require('./jest.config.js'),
  testMatch: ['api', 'openssl-config'].map((name) => `<rootDir>/test/node/${name}.test.ts`),
  moduleNameMapper: { '^\\.\\./\\.\\./dist/(.*)$': `${process.env.DEVICE_KEY_INSTALLED}/dist/$1` },
  // Ends a test that hangs. The emulated hosts are slow.
  testTimeout: 180_000,
  // In this process: the emulated ones cannot start another.
  maxWorkers: 1,
};
