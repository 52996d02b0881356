// `device-key self-test` with the stand-in for Windows' key stores.
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { mkdir } from 'node:fs/promises';

import { CliUser } from '../support/cli';
import { behave, storedKeys } from '../support/windows/stand-in-key-store';

interface Report {
  protectionClass: string | null;
  checks: {
    name: string;
    passed: boolean;
    detail: string | null;
    error: { code: string } | null;
  }[];
  leftBehind: { directory: string; keyIds: string[] } | null;
}

let user: CliUser;
let temporary: string;
let others: string[];
beforeEach(async () => {
  behave();
  others = storedKeys();
  user = await CliUser.create();
  temporary = path.join(user.home, 'tmp');
  await mkdir(temporary);
});
afterEach(async () => {
  behave();
  await user.remove();
});

async function selfTest() {
  const { code, stdout } = await user.run(['self-test', '--json'], {
    env: { TEMP: temporary, TMP: temporary },
  });
  return { code, report: JSON.parse(stdout) as Report };
}

test.each([
  ['a TPM', [], 'hardware_tpm'],
  ['the software key store alone', ['no-tpm'], 'os_protected_nonextractable'],
])('with %s every step passes, and nothing is left', async (_, behaviour, protectionClass) => {
  behave(...behaviour);
  const { code, report } = await selfTest();
  expect(report.checks.filter(({ passed }) => !passed)).toEqual([]);
  expect(code).toBe(0);
  expect(report).toMatchObject({ protectionClass, leftBehind: null });
  const looked = report.checks.find(({ name }) => name === 'look for the deleted key');
  expect(looked?.detail).toMatch(/a copy of its record fails with key_lost/);
  expect(storedKeys()).toEqual(others);
  expect(readdirSync(temporary)).toEqual([]);
});

test('a key store that keeps the deleted key is detected, and the report names the key', async () => {
  behave('keeps-deleted');
  const { code, report } = await selfTest();
  expect(code).toBe(1);
  expect(report.checks.at(-1)).toMatchObject({
    name: 'look for the deleted key',
    error: { code: 'key_survived' },
  });
  const [keyId] = report.leftBehind!.keyIds;
  behave();
  const options = ['--directory', report.leftBehind!.directory, '--yes'];
  expect((await user.run(['delete', keyId!, ...options])).code).toBe(0);
  expect(storedKeys()).toEqual(others);
});

test('a delete that fails is a failed step, and the report names the key', async () => {
  behave('NCryptDeleteKey=0x80090009');
  const { code, report } = await selfTest();
  expect(code).toBe(1);
  expect(report.checks.at(-1)).toMatchObject({
    name: 'delete the key',
    error: { code: 'platform_error', platformStatus: '0x80090009' },
  });
  expect(report.leftBehind?.keyIds).toHaveLength(1);
  behave();
  const options = ['--directory', report.leftBehind!.directory, '--yes'];
  expect((await user.run(['delete', report.leftBehind!.keyIds[0]!, ...options])).code).toBe(0);
});
