import assert from 'node:assert/strict';

import { DeviceKeyStore, signDeviceKey } from 'node-device-key';
import { InMemoryNonceStore, verifyDeviceKeyProof } from 'node-device-key/verify';

import { load } from './load.mjs';
import { connection, owner } from './payloads.mjs';
import { deviceKey, runShell } from './run-shell.mjs';

async function assertSigns(sign, { keyId, publicKeySpkiDerBase64, protectionClass }) {
  assert.equal(protectionClass, 'os_protected_nonextractable');
  const payload = connection();
  const proof = await sign({ keyId, payload });
  const expected = { publicKeySpkiDerBase64, ...payload };
  await verifyDeviceKeyProof(proof, expected, { nonces: new InMemoryNonceStore() });
}

const { MODULE: module, TOKEN_SERIAL: serial, PIN: pin } = process.env;

export default {
  async 'makes a key in a token if the policy allows it'() {
    process.env.DEVICE_KEY_PKCS11_MODULE = module;
    process.env.DEVICE_KEY_PKCS11_PIN = pin;
    const { key } = await load(1, { globals: owner });
    await assertSigns(signDeviceKey, key);
  },

  async 'chooses the module and the token, and asks the user for the PIN'() {
    const questions = [];
    const askTheUser = (...question) => {
      questions.push(question);
      return pin;
    };
    const { store } = await load(2, {
      globals: { askTheUser },
      replace: {
        '/usr/lib/x86_64-linux-gnu/opensc-pkcs11.so': module,
        'serial=0042': `serial=${serial}`,
      },
    });
    assert.ok(store instanceof DeviceKeyStore);
    const protectionPolicy = 'allow_os_protected_nonextractable';
    const key = await store.create({ ...owner, protectionPolicy });
    await assertSigns((params) => store.sign(params), key);
    assert.deepEqual(questions, [['My card', false]]);
  },

  async 'lists the private keys of a token'() {
    process.env.DEVICE_KEY_PKCS11_MODULE = module;
    process.env.DEVICE_KEY_PKCS11_PIN = pin;
    const { key } = await load(1, { globals: owner });
    const replace = { '…': module, '--login': `--login --pin ${pin}` };
    const listed = await runShell(4, { replace });
    assert.match(listed, new RegExp(`^Private Key Object; EC\n +label: +${key.keyId}\n`, 'm'));
  },

  async 'sets up a token of SoftHSM'() {
    const { accountUserId, clientId } = owner;
    const output = await runShell(5, {
      replace: { 'sudo apt install softhsm2 opensc\n': '' },
      then:
        `${deviceKey} create --account ${accountUserId} --client ${clientId} ` +
        '--policy allow_os_protected_nonextractable --json',
    });
    const key = JSON.parse(output.trimEnd().split('\n').at(-1));
    assert.equal(key.protectionClass, 'os_protected_nonextractable');
  },
};
