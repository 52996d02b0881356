'use strict';
// For scripts/test-hosts.mjs: runs the tests of the API with the package that is installed in the
// directory DEVICE_KEY_INSTALLED, instead of this checkout's.

/** @type {import('jest').Config} */
module.exports = {
  ...require('./jest.config.js'),
  testMatch: ['<rootDir>/test/node/api.test.ts'],
  moduleNameMapper: { '^\\.\\./\\.\\./dist/(.*)$': `${process.env.DEVICE_KEY_INSTALLED}/dist/$1` },
  maxWorkers: 1,
};
