// Keys in a PKCS#11 token, on a machine without a TPM: SoftHSM, also checked with pkcs11-tool.
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

import {
  DeviceKeyError,
  type DeviceKeyStoreOptions,
  type DpopKey,
  type DpopProof,
  type Pkcs11Options,
} from '../../dist/index.js';
import { InMemoryNonceStore, verifyDpopProof } from '../../dist/verify.js';
import { runChild } from '../support/child';
import { outcome, outcomes } from '../support/outcome';
import { binding, connectionPayload } from '../support/payloads';
import { publicKeyOf, verifies } from '../support/proof';
import { SoftHsm, pkcs11Spy, softHsmModule } from '../support/softhsm';
import { TokenClient, type ClientOptions } from '../support/token-client';

let hsm: SoftHsm;
let home: string;
const clients: TokenClient[] = [];

beforeEach(async () => {
  hsm = await SoftHsm.make();
  await hsm.addToken('device keys');
  home = await mkdtemp('/tmp/dk-home-');
});
afterEach(async () => {
  await stopClients();
  await hsm.remove();
  await rm(home, { recursive: true });
});

async function stopClients(): Promise<void> {
  await Promise.all(clients.splice(0).map((client) => client.stop()));
}

function optionsWith(pkcs11: Pkcs11Options): DeviceKeyStoreOptions {
  return {
    directory: path.join(home, 'keys'),
    tcti: 'device:/dev/no-tpm-here',
    pkcs11: { module: softHsmModule, ...pkcs11 },
  };
}

async function start(
  pkcs11: Pkcs11Options = { pin: hsm.pin },
  options: ClientOptions = {},
): Promise<TokenClient> {
  const env = { ...hsm.environment, ...options.env };
  const client = await TokenClient.start(optionsWith(pkcs11), { ...options, env });
  clients.push(client);
  return client;
}

// As if its process had died long ago, before the key was recorded.
async function abandon(keyId: string): Promise<void> {
  const file = path.join(home, 'keys', keyId);
  const { handle } = JSON.parse(await readFile(`${file}.json`, 'utf8')) as { handle: object };
  await rm(`${file}.json`);
  const announcement = { version: 1, provider: 'pkcs11', handle };
  await writeFile(`${file}.pending`, JSON.stringify(announcement), { mode: 0o600 });
  await utimes(`${file}.pending`, 0, 0);
}

async function rejection(promise: Promise<unknown>): Promise<DeviceKeyError> {
  const error: unknown = await promise.catch((reason: unknown) => reason);
  if (error instanceof DeviceKeyError) return error;
  throw new Error('it did not reject');
}

describe('a key in a token', () => {
  test('has the protection class os_protected_nonextractable and a matching id', async () => {
    const client = await start();
    const key = await client.create();
    expect(key.protectionClass).toBe('os_protected_nonextractable');
    expect(key.keyId).toMatch(/^dk_osn_/);
  });

  test('signs in the process that made it and in the next, verified by node:crypto', async () => {
    const client = await start();
    const key = await client.create();
    expect(verifies(key.publicKeySpkiDerBase64, await client.sign(key.keyId))).toBe(true);
    await stopClients();
    const next = await start();
    expect(verifies(key.publicKeySpkiDerBase64, await next.sign(key.keyId))).toBe(true);
  });

  test('makes a signature that the openssl command verifies', async () => {
    const client = await start();
    const key = await client.create();
    const proof = await client.sign(key.keyId);
    const file = (name: string) => path.join(home, name);
    const pem = publicKeyOf(key.publicKeySpkiDerBase64).export({ format: 'pem', type: 'spki' });
    await writeFile(file('key.pem'), pem);
    await writeFile(file('signature'), Buffer.from(proof.signatureDerBase64, 'base64'));
    await writeFile(file('payload'), Buffer.from(proof.signedPayloadBase64, 'base64'));
    const { stdout } = await promisify(execFile)('openssl', [
      ...['dgst', '-sha256', '-verify', file('key.pem')],
      ...['-signature', file('signature'), file('payload')],
    ]);
    expect(stdout).toBe('Verified OK\n');
  });

  test('for DPoP signs only proofs', async () => {
    const client = await start();
    const key = await client.call<DpopKey>('createDpopKey', {
      clientId: 'app',
      origins: ['https://as.example.com'],
      protectionPolicy: 'allow_os_protected_nonextractable',
    });
    const request = { htm: 'POST', htu: 'https://as.example.com/token' };
    const { proof } = await client.call<DpopProof>('signDpop', { keyId: key.keyId, ...request });
    await verifyDpopProof(
      proof,
      { ...request, jkt: key.jkt },
      { nonces: new InMemoryNonceStore() },
    );
    expect(await outcome(client.sign(key.keyId))).toBe('binding_mismatch');
    const elsewhere = { keyId: key.keyId, htm: 'GET', htu: 'https://rs.example.com/' };
    expect(await outcome(client.call('signDpop', elsewhere))).toBe('binding_mismatch');
    const other = await client.create();
    const crossed = client.call('signDpop', { keyId: other.keyId, ...request });
    expect(await outcome(crossed)).toBe('binding_mismatch');
  });

  test('is listed, and once deleted is in neither the list nor the token', async () => {
    const client = await start();
    const { keyId } = await client.create();
    expect(await client.list()).toMatchObject([{ keyId, ...binding }]);
    await client.delete(keyId);
    expect(await client.list()).toEqual([]);
    expect(await hsm.tool(['--list-objects'])).not.toContain('dk_osn_');
  });

  test('is shown by pkcs11-tool as one that only signs and cannot leave the token', async () => {
    const { keyId } = await (await start()).create();
    const objects = await hsm.tool(['--list-objects', '--type', 'privkey']);
    expect(objects).toContain(`label:      ${keyId}`);
    expect(objects).toContain(
      `ID:         ${Buffer.from(keyId.slice(7), 'base64url').toString('hex')}`,
    );
    expect(objects).toMatch(/Usage: +sign\n/);
    expect(objects).toMatch(/Access: +sensitive, always sensitive, never extractable, local\n/);
  });

  test('that was deleted with other tools is lost', async () => {
    const client = await start();
    const { keyId } = await client.create();
    const id = Buffer.from(keyId.slice(7), 'base64url').toString('hex');
    await hsm.tool(['--delete-object', '--type', 'privkey', '--id', id]);
    expect(await outcome(client.sign(keyId))).toBe('key_lost');
    expect(await outcome(client.delete(keyId))).toBe('fulfilled');
  });
});

describe('the choice of a token', () => {
  test('is required when there are several, and the error lists them', async () => {
    await hsm.addToken('another');
    const error = await rejection((await start()).create());
    expect(error.code).toBe('invalid_params');
    expect(error.message).toContain('token=device%20keys');
    expect(error.message).toContain('token=another');
  });

  test.each([
    ['its label', 'another'],
    ['a URI', 'pkcs11:token=another;manufacturer=SoftHSM%20project'],
  ])('is made by %s', async (_, token) => {
    await hsm.addToken('another');
    const { keyId } = await (await start({ token, pin: hsm.pin })).create();
    expect(await hsm.tool(['--token-label', 'another', '--list-objects'])).toContain(keyId);
    expect(await hsm.tool(['--token-label', 'device keys', '--list-objects'])).toBe('');
  });

  test('is made by the environment', async () => {
    await hsm.addToken('another');
    const env = { DEVICE_KEY_PKCS11_TOKEN: 'another', DEVICE_KEY_PKCS11_PIN: hsm.pin };
    const { keyId } = await (await start({}, { env })).create();
    expect(await hsm.tool(['--token-label', 'another', '--list-objects'])).toContain(keyId);
  });

  test('of a missing token names the present ones', async () => {
    const error = await rejection((await start({ token: 'elsewhere', pin: hsm.pin })).create());
    expect(error.code).toBe('token_missing');
    expect(error.message).toContain('token=device%20keys');
  });
});

describe('the PIN', () => {
  test('comes from a file', async () => {
    const pinFile = path.join(home, 'pin');
    await writeFile(pinFile, `${hsm.pin}\n`);
    expect(await outcome((await start({ pinFile })).create())).toBe('fulfilled');
  });

  test("comes from a URI's pin-source", async () => {
    const pinFile = path.join(home, 'pin');
    await writeFile(pinFile, hsm.pin);
    const token = `pkcs11:token=device%20keys?pin-source=file:${pinFile}`;
    expect(await outcome((await start({ token })).create())).toBe('fulfilled');
  });

  test('is required', async () => {
    const client = await start({});
    expect(await outcome(client.create())).toBe('pin_required');
    const { providers } = await client.support();
    expect(providers[1]).toMatchObject({ provider: 'pkcs11', code: 'pin_required' });
  });

  test('is asked for once, for all waiting operations', async () => {
    const client = await start({}, { answers: [hsm.pin] });
    const params = { ...binding, protectionPolicy: 'allow_os_protected_nonextractable' };
    const keys = await client.call('together', Array(5).fill({ method: 'create', params }));
    expect(keys).toHaveLength(5);
    expect(await client.questions()).toMatchObject([
      { label: 'device keys', lastPinWasWrong: false, finalTry: false },
    ]);
  });

  test('is not asked for by support()', async () => {
    const client = await start({}, { answers: [] });
    const { providers } = await client.support();
    expect(providers[1]).toMatchObject({ provider: 'pkcs11', available: true });
    expect(await client.questions()).toEqual([]);
  });

  test('is asked for again after a wrong one, and the question says so', async () => {
    const client = await start({}, { answers: ['wrong one', hsm.pin] });
    expect(await outcome(client.create())).toBe('pin_incorrect');
    expect(await outcome(client.create())).toBe('fulfilled');
    expect(await client.questions()).toMatchObject([
      { lastPinWasWrong: false },
      { lastPinWasWrong: true },
    ]);
  });

  test('is used only for the token of the question', async () => {
    const one = await (await start()).create();
    await hsm.addToken('another', '5678');
    const another = await (await start({ token: 'another', pin: '5678' })).create();
    await stopClients();
    const client = await start({}, { answers: { 'device keys': hsm.pin, another: '5678' } });
    const calls = [one, another].map(({ keyId }) => ({
      method: 'sign',
      params: { keyId, payload: connectionPayload() },
    }));
    expect(await client.call('together', calls)).toHaveLength(2);
    expect((await client.questions()).map(({ label }) => label).sort()).toEqual([
      'another',
      'device keys',
    ]);
  });

  test('that is still missing when the store is closed rejects the waiting operations', async () => {
    const client = await start({}, { answers: {} });
    const created = outcome(client.create());
    while ((await client.questions()).length === 0);
    await client.call('close');
    expect(await created).toBe('closed');
  });

  test('that is wrong ends a creation that finds abandoned keys', async () => {
    const { keyId } = await (await start()).create();
    await stopClients();
    await abandon(keyId);
    const client = await start({}, { answers: { 'device keys': 'wrong one' } });
    expect(await outcome(client.create())).toBe('pin_incorrect');
    expect(await client.questions()).toHaveLength(1);
  });

  test('that is not given is a cancellation', async () => {
    const client = await start({}, { answers: [''] });
    expect(await outcome(client.create())).toBe('user_canceled');
  });

  // The calls that reach the module, as logged by OpenSC's spy between it and us.
  test('that is wrong reaches the token only once', async () => {
    const { keyId } = await (await start()).create();
    await stopClients();
    const log = path.join(home, 'calls');
    const env = { PKCS11SPY: softHsmModule, PKCS11SPY_OUTPUT: log };
    const client = await start({ module: pkcs11Spy, pin: 'wrong one' }, { env });
    const tries = [client.create(), client.sign(keyId), client.sign(keyId), client.delete(keyId)];
    expect(await outcomes(tries)).toEqual(Array(4).fill('pin_incorrect'));
    await client.support();
    const calls = await readFile(log, 'utf8');
    expect(calls.match(/: C_Login$/gm)).toHaveLength(1);
    expect(calls.match(/CKR_PIN_INCORRECT/g)).toHaveLength(1);
  });

  test('is in no message', async () => {
    const error = await rejection((await start({ pin: 'wrong one' })).create());
    expect(error.message).not.toContain('wrong one');
  });
});

describe('a key whose process died before it was recorded', () => {
  test('is deleted by a later creation', async () => {
    const { keyId } = await (await start()).create();
    await abandon(keyId);
    const next = await (await start()).create();
    const objects = await hsm.tool(['--list-objects']);
    expect(objects).toContain(next.keyId);
    expect(objects).not.toContain(keyId);
  });

  test('stays announced while keys are made on another token, and is deleted on its own', async () => {
    const pin = hsm.pin;
    await hsm.addToken('another');
    const { keyId } = await (await start({ pin, token: 'device keys' })).create();
    await abandon(keyId);
    await (await start({ pin, token: 'another' })).create();
    expect(await readdir(path.join(home, 'keys'))).toContain(`${keyId}.pending`);

    await (await start({ pin, token: 'device keys' })).create();
    expect(await readdir(path.join(home, 'keys'))).not.toContain(`${keyId}.pending`);
    const objects = await hsm.tool(['--token-label', 'device keys', '--list-objects']);
    expect(objects).not.toContain(keyId);
  });
});

describe('a token that is taken out', () => {
  test('leaves no announcements', async () => {
    const client = await start({ pin: hsm.pin, token: 'device keys' });
    await client.create();
    await hsm.takeOut();
    const tries = Array.from({ length: 100 }, () => client.create());
    expect(new Set(await outcomes(tries))).toEqual(new Set(['token_missing']));
    const files = await readdir(path.join(home, 'keys'));
    expect(files.filter((file) => file.endsWith('.pending'))).toEqual([]);
    await hsm.putBack();
  });

  test('is named in the error, and works again once it is back', async () => {
    const client = await start();
    const key = await client.create();
    await hsm.takeOut();
    const error = await rejection(client.sign(key.keyId));
    expect(error.code).toBe('token_missing');
    expect(error.message).toContain('token=device%20keys');
    expect(await outcome(client.delete(key.keyId))).toBe('token_missing');
    await hsm.putBack();
    expect(verifies(key.publicKeySpkiDerBase64, await client.sign(key.keyId))).toBe(true);
  });
});

describe('worker threads', () => {
  // DEVICE_KEY_SOAK_SECONDS makes it longer.
  const seconds = Number(process.env['DEVICE_KEY_SOAK_SECONDS'] ?? 2);

  test.each([
    ['the module', softHsmModule],
    ["p11-kit's proxy", 'p11-kit-proxy.so'],
  ])(
    "sign through %s while Node's own OpenSSL is at work",
    async (_, module) => {
      const pkcs11 = { module, token: 'device keys', pin: hsm.pin };
      const { output, exitCode, signal } = await runChild<{ signed: number }[]>(
        'token-workers.cjs',
        { options: optionsWith(pkcs11), binding, seconds, workers: 4 },
        // A home for modules behind the proxy, which would otherwise write to the working
        // directory.
        { env: { ...hsm.environment, HOME: home }, limitMs: (seconds + 30) * 1000 },
      );
      expect({ exitCode, signal }).toEqual({ exitCode: 0, signal: null });
      expect(output).toHaveLength(4);
      for (const { signed, ...faults } of output) {
        expect(signed).toBeGreaterThan(0);
        expect(faults).toEqual({ wrong: 0, ownWrong: 0 });
      }
    },
    (seconds + 30) * 1000,
  );
});

describe('if no token is needed', () => {
  test('no module is loaded', async () => {
    const client = await start({ module: '/nonexistent.so', pin: 'none' });
    expect(await client.list()).toEqual([]);
    const { providers } = await client.support();
    expect(providers[1]).toMatchObject({ code: 'library_missing' });
  });
});
