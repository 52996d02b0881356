// Every status of a Windows key store that has its own error code. The stand-in returns the status, and
// the test checks the code and the number in JavaScript.
import { readFileSync } from 'node:fs';
import path from 'node:path';

import type { DeviceKeyStore } from '../../dist/index.js';
import { TestMachine } from '../support/machine';
import { binding, connectionPayload } from '../support/payloads';
import { behave } from '../support/windows/stand-in-key-store';

// One line for each row of the table; cng_status_win_test.cc compares the two.
const rows = readFileSync(path.join(__dirname, '../vectors/cng-statuses.txt'), 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('0x'))
  .map((line) => line.split(/\s+/) as [status: string, name: string, code: string]);

let machine: TestMachine;
let store: DeviceKeyStore;
let keyId: string;

beforeAll(async () => {
  machine = await TestMachine.start();
  store = machine.open();
  ({ keyId } = await store.create(binding));
});
afterEach(() => behave());
afterAll(() => machine.stop());

test.each(rows)('%s (%s) is %s', async (status, name, code) => {
  behave(`NCryptSignHash=${status}`);
  await expect(store.sign({ keyId, payload: connectionPayload() })).rejects.toMatchObject({
    code,
    platformStatus: status,
    message: expect.stringContaining(`${name} (${status}). `) as string,
  });
});

test.each([
  ['NCryptOpenStorageProvider', 'open the key store'],
  ['NCryptGetProperty', 'find a TPM'],
  ['NCryptCreatePersistedKey', 'make a key'],
  ['NCryptSetProperty', 'make a key'],
  ['NCryptFinalizeKey', 'make a key'],
  ['NCryptExportKey', 'read the public key'],
])('a failure of %s says that it could not %s', async (call, attempt) => {
  behave(`${call}=0x80280921`);
  await expect(store.create(binding)).rejects.toMatchObject({
    code: 'tpm_lockout',
    message: expect.stringContaining(`could not ${attempt}: `) as string,
  });
});
