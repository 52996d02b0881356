'use strict';
// For scripts/test-hosts.mjs and release.yml: runs tests with the package that is installed in the
// directory DEVICE_KEY_INSTALLED, instead of this checkout's. Arguments choose among the files: the first two
// need a software TPM, or the stand-in for Windows' key store; the others need neither.
const names = [
  'api',
  'openssl-config',
  'decoder-agreement',
  'device-identity',
  'hostile-arguments',
  'prototype-pollution',
];
const installed = process.env.DEVICE_KEY_INSTALLED.replaceAll('\\', '/');

/** @type {import('jest').Config} */
module.exports = {
  ...require('./jest.config.js'),
  testMatch: names.map((name) => `<rootDir>/test/node/${name}.test.ts`),
  moduleNameMapper: { '^\\.\\./\\.\\./dist/(.*)$': `${installed}/dist/$1` },
  // Ends a test that hangs. The emulated hosts are slow.
  testTimeout: 180_000,
  // One worker, so that Jest runs the tests in its own process: an emulated Node.js cannot start another.
  maxWorkers: 1,
};
