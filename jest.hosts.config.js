'use strict';
// For scripts/test-hosts.mjs and release.yml: runs tests with the package that is installed in the
// directory DEVICE_KEY_INSTALLED, instead of this checkout's. On Linux they are the tests of the API, which
// need a software TPM; elsewhere those of the addon that need none.
const names =
  process.platform === 'linux'
    ? ['api']
    : ['decoder-agreement', 'device-identity', 'hostile-arguments', 'prototype-pollution'];
const installed = process.env.DEVICE_KEY_INSTALLED.replaceAll('\\', '/');

/** @type {import('jest').Config} */
module.exports = {
  ...require('./jest.config.js'),
  testMatch: names.map((name) => `<rootDir>/test/node/${name}.test.ts`),
  moduleNameMapper: { '^\\.\\./\\.\\./dist/(.*)$': `${installed}/dist/$1` },
  maxWorkers: 1,
};
