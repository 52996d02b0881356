'use strict';
// For any system: the tests of test/node/ that use no simulator, no database and no tool of Linux
// (`npm run test:unit`).
const everywhere = [
  'app-server',
  'app-server-stdio',
  'decoder-agreement',
  'device-identity',
  'dpop-fetch',
  'hostile-arguments',
  'prototype-pollution',
  'schema',
  'testing',
  'verify-canonical',
  'verify-dpop',
  'verify-imports',
  'verify-many',
  'verify-nonce-store',
  'verify-proof',
  'verify-signature',
];

/** @type {import('jest').Config} */
module.exports = {
  ...require('./jest.config.js'),
  testMatch: everywhere.map((name) => `<rootDir>/test/node/${name}.test.ts`),
};
