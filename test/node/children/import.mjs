// Imports the package by its name from an ES module, and from CommonJS in the same process.
import { createRequire } from 'node:module';

import * as imported from 'node-device-key';
import { DeviceKeyError, DeviceKeyStore } from 'node-device-key';

const required = createRequire(import.meta.url)('node-device-key');
const { options, params } = JSON.parse(process.argv[2]);

const store = DeviceKeyStore.open(options);
const proof = await store.sign(params);
const error = await store.sign({}).catch((reason) => reason);

console.log(
  JSON.stringify({
    algorithm: proof.algorithm,
    isDeviceKeyError: error instanceof DeviceKeyError && error instanceof required.DeviceKeyError,
    sameNames: Object.keys(required).every((name) => imported[name] === required[name]),
  }),
);
