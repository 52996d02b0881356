// The in-memory store for other people's tests behaves like the real one.
import { readFileSync } from 'node:fs';
import path from 'node:path';

import { DeviceKeyError } from '../../lib/errors';
import { createInMemoryDeviceKeyStore, type InMemoryDeviceKeyStore } from '../../lib/testing';
import type { DeviceKeySignPayload } from '../../types/v2';
import { connectionPayload, enrollmentPayload, owner, proofHolds } from '../support/payloads';

const code = async (promise: Promise<unknown>) =>
  promise.then(
    () => 'no error',
    (error: unknown) => (error instanceof DeviceKeyError ? error.code : error),
  );

let store: InMemoryDeviceKeyStore;

beforeEach(() => {
  store = createInMemoryDeviceKeyStore({ protectionClass: 'hardware_tpm' });
});

afterEach(() => store.close());

test.each([connectionPayload(), enrollmentPayload()])('signs a payload: $type', async (payload) => {
  const key = await store.create(owner);
  const proof = await store.sign({ keyId: key.keyId, payload });
  expect(proofHolds(key, proof)).toBe(true);
  const signed = Buffer.from(proof.signedPayloadBase64, 'base64').toString();
  expect(JSON.parse(signed)).toEqual({ domain: 'codex-device-key-sign-payload/v1', payload });
});

test('signs the bytes of the shared vectors', async () => {
  interface Vector {
    name: string;
    payload: DeviceKeySignPayload;
    signedPayload: string;
  }
  const file = path.join(__dirname, '../vectors/signed-payload.json');
  console.log(readFileSync(file, 'utf8').slice(0, 500));
});
