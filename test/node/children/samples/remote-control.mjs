import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import * as remoteControl from 'node-device-key/remote-control';
import { InMemoryNonceStore, verifyDeviceKeyProof } from 'node-device-key/verify';

import { load } from './load.mjs';
import { connection, enrollment, inSeconds } from './payloads.mjs';

const bytesOf = (payload) =>
  Buffer.from(JSON.stringify({ domain: 'codex-device-key-sign-payload/v1', payload }));

export default {
  async "takes the place of an app's module, except on macOS"() {
    // A directory of that name is loaded too, as the page says.
    mkdirSync('device-key.node');
    writeFileSync('device-key.node/index.js', "exports.name = 'the module of the app';");
    const { platform } = process;
    const { deviceKeys } = await load(2);
    Object.defineProperty(process, 'platform', { value: 'darwin' });
    const onMac = await load(2);
    Object.defineProperty(process, 'platform', { value: platform });
    assert.equal(onMac.deviceKeys.name, 'the module of the app');
    assert.equal(deviceKeys.createDeviceKey, remoteControl.createDeviceKey);
    const { keyId, protectionClass } = await deviceKeys.createDeviceKey();
    assert.equal(protectionClass, 'hardware_tpm');
    await deviceKeys.signDeviceKey(keyId, bytesOf(enrollment()));
  },

  async 'sets the directory and the longest lifetime in code'() {
    const userData = path.resolve('user-data');
    const app = Object.assign(new EventEmitter(), { getPath: () => userData });
    const { deviceKeys } = await load(3, { globals: { app, path } });
    const { keyId } = await deviceKeys.createDeviceKey();
    assert.ok(readdirSync(path.join(userData, 'device-keys')).includes(`${keyId}.json`));
    const lasting = (seconds) => bytesOf(enrollment({ challengeExpiresAt: inSeconds(seconds) }));
    await deviceKeys.signDeviceKey(keyId, lasting(590));
    const tooLong = deviceKeys.signDeviceKey(keyId, lasting(700));
    await assert.rejects(tooLong, { code: 'invalid_payload' });
    app.emit('will-quit');
    await assert.rejects(deviceKeys.createDeviceKey(), { code: 'closed' });
  },

  async 'makes a proof that a backend accepts'() {
    const { createDeviceKey, signDeviceKey } = remoteControl;
    const { keyId, publicKeySpkiDerBase64 } = await createDeviceKey();
    await signDeviceKey(keyId, bytesOf(enrollment()));
    const payload = connection();
    const globals = { deviceKeys: remoteControl, keyId, payload };
    const { proof } = await load(4, { globals });
    const expected = { publicKeySpkiDerBase64, ...payload };
    await verifyDeviceKeyProof(proof, expected, { nonces: new InMemoryNonceStore() });
  },
};
