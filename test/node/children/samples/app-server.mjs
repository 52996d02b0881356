import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';

import { createDeviceKey, getDeviceKeyPublic } from 'node-device-key';

import { load } from './load.mjs';
import { connection, owner } from './payloads.mjs';

export default {
  async 'answers a request for the public key'() {
    const { keyId } = await createDeviceKey(owner);
    const { handle } = await load(1, { globals: { keyId } });
    const answer = await handle({ id: 1, method: 'device/key/public', params: { keyId } });
    assert.deepEqual(answer, { id: 1, result: await getDeviceKeyPublic({ keyId }) });
    const members = ['algorithm', 'keyId', 'protectionClass', 'publicKeySpkiDerBase64'];
    assert.deepEqual(Object.keys(answer.result).sort(), members);
  },

  async 'opens a store in memory that signs like a TPM'() {
    const { store } = await load(2);
    const { keyId, protectionClass } = await store.create(owner);
    assert.equal(protectionClass, 'hardware_tpm');
    const payload = connection();
    const { signedPayloadBase64 } = await store.sign({ keyId, payload });
    assert.ok(Buffer.from(signedPayloadBase64, 'base64').includes(payload.nonce));
  },

  async 'serves standard input and output until the input ends'() {
    const server = spawn(process.execPath, ['3.mjs'], { stdio: ['pipe', 'pipe', 'inherit'] });
    const messages = [
      { id: 1, method: 'initialize', params: { clientInfo: { name: 'test', version: '1' } } },
      { id: 2, method: 'device/key/create', params: owner },
    ];
    server.stdin.end(messages.map((message) => `${JSON.stringify(message)}\n`).join(''));
    const lines = (await text(server.stdout)).trim().split('\n');
    const answers = lines.map((line) => JSON.parse(line));
    assert.deepEqual(
      answers.map(({ id }) => id),
      [1, 2],
    );
    const { keyId, publicKeySpkiDerBase64 } = answers[1].result;
    const key = await getDeviceKeyPublic({ keyId });
    assert.equal(key.publicKeySpkiDerBase64, publicKeySpkiDerBase64);
  },
};
