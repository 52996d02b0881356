import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

// The glob matcher of electron-builder, @electron/asar and @electron/universal.
import { minimatch } from 'minimatch';

import { load } from './load.mjs';
import { owner } from './payloads.mjs';

// The stand-in (test/support/electron-stand-in.ts), where the samples find it.
const { ipcMain } = createRequire(path.resolve('main.js'))('electron');

const installed = 'node_modules/node-device-key';
// The addons that the package loads. There are two for macOS.
const main = createRequire(import.meta.url).resolve('node-device-key');
const loader = readFileSync(path.join(path.dirname(main), 'native.js'), 'utf8');
const addons = Array.from(
  loader.matchAll(/require\('\.\.\/(.*\.node)'\)/g),
  ([, file]) => `${installed}/${file}`,
);
const addonsOfMac = addons.filter((file) => file.includes('darwin'));
assert.equal(addonsOfMac.length, 2);
/** The settings of examples/electron, for comparison. */
const example = JSON.parse(
  readFileSync(new URL('../../../../examples/electron/package.json', import.meta.url), 'utf8'),
);
const script = `${installed}/dist/index.js`;

/** As @electron/universal matches the files of the two halves of an app. */
const forOneProcessor = (files, glob) =>
  files.filter((file) =>
    minimatch(`Contents/Resources/app.asar.unpacked/${file}`, glob, { matchBase: true }),
  );

export default {
  async 'gives a page one function, which asks the main process'() {
    ipcMain.handle('remote-control:connect', (_event, account) => ({ connected: account }));
    await load(1);
    assert.deepEqual(Object.keys(globalThis.remoteControl), ['connect']);
    assert.deepEqual(await globalThis.remoteControl.connect(owner), { connected: owner });
  },

  async 'opens a store that ignores the environment'() {
    const { store } = await load(2);
    assert.equal(store.directory, path.join(process.env.USER_DATA, 'device-keys'));
    const { providers } = await store.support();
    assert.ok(!JSON.stringify(providers).includes(process.env.DEVICE_KEY_TCTI));

    // The same with this test's TPM, in code.
    const { DEVICE_KEY_TCTI: tcti } = process.env;
    const simulator = `tcti: ${JSON.stringify(tcti)}, allowSimulator: true`;
    const replace = { 'environment: false': `environment: false, ${simulator}` };
    const { keyId } = await (await load(2, { replace })).store.create(owner);
    assert.ok(existsSync(path.join(process.env.USER_DATA, 'device-keys', `${keyId}.json`)));
    assert.ok(!existsSync(process.env.DEVICE_KEY_HOME));
  },

  async 'electron-builder leaves the addons outside the archive'() {
    const { asarUnpack, mac } = await load(3);
    const isUnpacked = (file) => asarUnpack.some((glob) => minimatch(file, glob));
    assert.deepEqual([...addons, script].filter(isUnpacked), addons);
    assert.deepEqual(forOneProcessor([...addons, script], mac.x64ArchFiles), addonsOfMac);
    assert.deepEqual(example.build.asarUnpack, asarUnpack);
    assert.equal(example.build.npmRebuild, false);
  },

  async 'Electron Forge leaves the addons outside the archive'() {
    const { packagerConfig, rebuildConfig } = await load(4);
    const { asar, osxUniversal, osxSign } = packagerConfig;
    const isUnpacked = (file) => minimatch(`/app/${file}`, asar.unpack, { matchBase: true });
    assert.deepEqual([...addons, script].filter(isUnpacked), addons);
    assert.deepEqual(forOneProcessor([...addons, script], osxUniversal.x64ArchFiles), addonsOfMac);
    assert.equal(osxSign.optionsForFile().entitlements, 'entitlements.mac.plist');
    const { forge } = example.config;
    assert.deepEqual([forge.packagerConfig.asar, forge.rebuildConfig], [asar, rebuildConfig]);
  },
};
