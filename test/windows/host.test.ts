// The addon in executables that are not called node.exe, and next to planted DLLs.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import path from 'node:path';

import { TestMachine } from '../support/machine';
import { binding } from '../support/payloads';
import { essentialEnvironment, scratchPrefix } from '../support/platform';
import { standInHome } from '../support/windows/stand-in-key-store';

const root = path.join(__dirname, '../..');
const addon = path.join(root, 'prebuilds/win32-x64/node-device-key.node');
const built = path.join(root, 'build-windows');
const script = 'test/node/children/use-store.cjs';

let machine: TestMachine;
let place: string;

beforeEach(async () => {
  machine = await TestMachine.start();
  place = mkdtempSync(`${scratchPrefix}host-`);
});
afterEach(async () => {
  rmSync(place, { recursive: true });
  await machine.stop();
});

function createIn(executable: string, packageRoot = root): unknown {
  const input = { options: machine.options, method: 'create', params: binding };
  const ended = spawnSync(executable, [path.join(packageRoot, script), JSON.stringify(input)], {
    cwd: place,
    encoding: 'utf8',
    env: essentialEnvironment,
  });
  if (ended.stdout === '') throw new Error(`no answer: ${JSON.stringify(ended)}`);
  return JSON.parse(ended.stdout);
}

const aKey = { result: expect.objectContaining({ protectionClass: 'hardware_tpm' }) as unknown };

test('the addon works in an executable that is not called node.exe', () => {
  const renamed = path.join(place, 'My Application.exe');
  copyFileSync(process.execPath, renamed);
  expect(createIn(renamed)).toEqual(aKey);
});

test.each(['ncrypt.dll', 'tbs.dll'])(
  'no %s that lies beside the addon and the executable is loaded',
  async (dll) => {
    const addons = path.join(place, 'prebuilds/win32-x64');
    mkdirSync(addons, { recursive: true });
    copyFileSync(addon, path.join(addons, 'node-device-key.node'));
    // Not with cpSync, which loses directories whose path is not ASCII (nodejs/node#61878).
    for (const file of ['package.json', 'dist', script]) {
      await cp(path.join(root, file), path.join(place, file), { recursive: true });
    }
    const executable = path.join(place, 'node.exe');
    copyFileSync(process.execPath, executable);
    const planted = path.join(built, 'planted', dll);
    for (const directory of [place, addons]) {
      copyFileSync(planted, path.join(directory, dll));
    }
    const marker = path.join(standInHome, 'planted-was-loaded');

    expect(createIn(executable, place)).toEqual(aKey);
    expect(existsSync(marker)).toBe(false);

    // Shows that a planted DLL leaves the marker when it is loaded.
    expect(() => process.dlopen({ exports: {} }, planted)).toThrow();
    expect(existsSync(marker)).toBe(true);
    rmSync(marker);
  },
);
