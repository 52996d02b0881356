// Keys for DPoP proofs, in a TPM: what they sign, and what they refuse.
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';

import {
  DeviceKeyError,
  type DeviceKeyStore,
  type DpopKey,
  type DpopSignParams,
} from '../../dist/index.js';
import { InMemoryNonceStore, verifyDpopProof } from '../../dist/verify.js';
import { TestMachine } from '../support/machine';
import { binding, connectionPayload, enrollmentPayload } from '../support/payloads';
import { onWindows } from '../support/platform';
import { verifies } from '../support/proof';

const origin = 'https://as.example.com';
const htu = `${origin}/token`;
const request = { htm: 'POST', htu };
const dpopParams = { clientId: 'cli_42', origins: [origin, 'https://rs.example.com'] };
const unknownKey = `dk_tpm_${Buffer.alloc(32).toString('base64url')}`;

let machine: TestMachine;
let store: DeviceKeyStore;
let key: DpopKey;

beforeAll(async () => {
  machine = await TestMachine.start();
  store = machine.open();
  key = await store.createDpopKey(dpopParams);
});
afterAll(() => machine.stop());

async function rejection(promise: Promise<unknown>): Promise<DeviceKeyError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof DeviceKeyError) return error;
    throw error;
  }
  throw new Error('it did not reject');
}

async function sign(params: Partial<DpopSignParams> = {}): Promise<string> {
  return (await store.signDpop({ keyId: key.keyId, ...request, ...params })).proof;
}

function part(proof: string, index: number): Record<string, unknown> {
  const text = Buffer.from(proof.split('.')[index]!, 'base64url').toString();
  return JSON.parse(text) as Record<string, unknown>;
}
const claimsOf = (proof: string) => part(proof, 1);
const sha256 = (text: string) => createHash('sha256').update(text).digest('base64url');

describe('createDpopKey', () => {
  test('returns the same as create, with JWK and thumbprint', () => {
    expect(key).toEqual({
      keyId: expect.stringMatching(/^dk_tpm_[A-Za-z0-9_-]{43}$/) as string,
      publicKeySpkiDerBase64: expect.any(String) as string,
      algorithm: 'ecdsa_p256_sha256',
      protectionClass: 'hardware_tpm',
      jwk: {
        crv: 'P-256',
        kty: 'EC',
        x: expect.any(String) as string,
        y: expect.any(String) as string,
      },
      jkt: expect.any(String) as string,
    });
    const { crv, kty, x, y } = key.jwk;
    expect(key.jkt).toBe(sha256(JSON.stringify({ crv, kty, x, y })));
  });

  test('lists the key with its use, its client and its origins', async () => {
    const listed = await store.list();
    expect(listed.find(({ keyId }) => keyId === key.keyId)).toMatchObject({
      use: 'dpop',
      accountUserId: null,
      clientId: 'cli_42',
      origins: [origin, 'https://rs.example.com'],
    });
  });

  test.each<[string, object]>([
    ['clientId', { ...dpopParams, clientId: '' }],
    ['clientId', { origins: dpopParams.origins }],
    ['origins', { clientId: 'cli_42' }],
    ['origins', { ...dpopParams, origins: [] }],
    ['origins[0]', { ...dpopParams, origins: [`${origin}/`] }],
    ['origins[1]', { ...dpopParams, origins: [origin, 'http://as.example.com'] }],
    ['protectionPolicy', { ...dpopParams, protectionPolicy: 'none' }],
  ])('names the wrong member %s', async (member, params) => {
    const error = await rejection(store.createDpopKey(params as never));
    expect([error.code, error.message.split(': ')[0]]).toEqual(['invalid_params', member]);
  });

  test('writes a record of version 2, which older code refuses', async () => {
    const record = await readFile(machine.recordPath(key.keyId), 'utf8');
    expect(record).toMatch(/^\{\n {2}"version": 2,\n/);
  });
});

describe('signDpop', () => {
  test('makes a proof that verifyDpopProof accepts', async () => {
    const params = { nonce: 'nonce-1', accessToken: 'token-1' };
    const proof = await sign(params);
    const verified = await verifyDpopProof(
      proof,
      { ...request, ...params, jkt: key.jkt },
      { nonces: new InMemoryNonceStore() },
    );
    expect(verified).toMatchObject({ jkt: key.jkt, jwk: key.jwk });
  });

  test('has exactly the members of RFC 9449 in header and claims', async () => {
    const proof = await sign();
    expect(part(proof, 0)).toEqual({ alg: 'ES256', jwk: key.jwk, typ: 'dpop+jwt' });
    expect(Object.keys(claimsOf(proof))).toEqual(['htm', 'htu', 'iat', 'jti']);
    const all = await sign({ nonce: 'n', accessToken: 't' });
    expect(Object.keys(claimsOf(all))).toEqual(['ath', 'htm', 'htu', 'iat', 'jti', 'nonce']);
  });

  test('accepts the digest of a token in place of the token', async () => {
    const accessTokenSha256Base64url = sha256('token-1');
    const [one, other] = [
      await sign({ accessToken: 'token-1' }),
      await sign({ accessTokenSha256Base64url }),
    ];
    expect(claimsOf(one).ath).toBe(accessTokenSha256Base64url);
    expect(claimsOf(other).ath).toBe(accessTokenSha256Base64url);
  });

  test('gives each proof a jti of 128 bits, or the digest of the authorization code', async () => {
    const [one, other] = [claimsOf(await sign()).jti, claimsOf(await sign()).jti];
    expect(one).not.toBe(other);
    expect(Buffer.from(String(one), 'base64url')).toHaveLength(16);
    expect(claimsOf(await sign({ authorizationCode: 'code-1' })).jti).toBe(sha256('code-1'));
  });

  test('signs bytes that cannot be those of a payload', async () => {
    expect(await sign()).toMatch(/^eyJ/);
    const { keyId } = await store.create(binding);
    const signed = await store.sign({ keyId, payload: connectionPayload() });
    expect(Buffer.from(signed.signedPayloadBase64, 'base64').toString()).toMatch(/^\{"domain"/);
  });

  test.each<[string, Partial<Record<keyof DpopSignParams, unknown>>]>([
    ['keyId', { keyId: 'dk_tpm_' }],
    ['htm', { htm: 'post' }],
    ['htm', { htm: undefined }],
    ['htu', { htu: `${htu}?q` }],
    ['htu', { htu: 'http://as.example.com/token' }],
    ['nonce', { nonce: 'a b' }],
    ['nonce', { nonce: 'n'.repeat(1025) }],
    ['accessToken', { accessToken: '' }],
    ['accessTokenSha256Base64url', { accessTokenSha256Base64url: 'abc' }],
    ['accessTokenSha256Base64url', { accessToken: 't', accessTokenSha256Base64url: sha256('t') }],
    ['authorizationCode', { authorizationCode: 'ü' }],
  ])('names the wrong member %s: %j', async (member, params) => {
    const error = await rejection(sign(params as Partial<DpopSignParams>));
    expect([error.code, error.message.split(': ')[0]]).toEqual(['invalid_params', member]);
  });

  test('never quotes a token or a code', async () => {
    for (const params of [{ accessToken: 'sécret' }, { authorizationCode: 'sécret' }]) {
      expect((await rejection(sign(params))).message).not.toContain('cret');
    }
  });

  test('rejects with canceled when its signal is aborted', async () => {
    const options = { signal: AbortSignal.abort() };
    const error = await rejection(store.signDpop({ keyId: key.keyId, ...request }, options));
    expect(error.code).toBe('canceled');
  });
});

// A request with an unknown key ends with `key_not_found` after all rules have been checked.
describe('the rules for htu', () => {
  const passes = async (text: string) => {
    const { code } = await rejection(store.signDpop({ keyId: unknownKey, htm: 'GET', htu: text }));
    return code === 'key_not_found';
  };
  /**
   * The rule of the documentation, with the URL parser of Node.js. Hosts are chosen by the caller.
   */
  const isItsSerialization = (text: string) => {
    if (!URL.canParse(text)) return false;
    const url = new URL(text);
    return url.href === text && url.origin + url.pathname === text && !text.includes('^');
  };
  const host = fc.constantFrom('a.example', 'a.b-c.example:8443', 'xn--bcher-kva.example');

  test("accept the URL parser's path of any text", async () => {
    await fc.assert(
      fc.asyncProperty(host, fc.string({ unit: 'binary' }), async (where, path) => {
        const { origin: from, pathname } = new URL(`https://${where}/${path}`);
        const serialized = (from + pathname).replaceAll('^', '%5E');
        expect(await passes(serialized)).toBe(isItsSerialization(serialized));
      }),
    );
  });

  test('refuse every text that the URL parser changes', async () => {
    const piece = fc.oneof(
      fc.constantFrom(
        ...['/', '.', '..', '%2e', '%2E.', '\\', '?', '#', '@', ' ', '%', '%zz', ':'],
      ),
      fc.string({ unit: 'binary', maxLength: 2 }),
    );
    const path = fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join(''));
    await fc.assert(
      fc.asyncProperty(host, path, async (where, rest) => {
        const text = `https://${where}${rest}`;
        fc.pre(!/^[\w-]/.test(rest)); // would continue the host
        if (await passes(text)) expect(isItsSerialization(text)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  test.each([
    'https://a.example/',
    'http://localhost:3000/',
    'http://127.0.0.1/x',
    'http://[::1]:1/',
  ])('accept %s', async (text) => {
    expect(await passes(text)).toBe(true);
  });
});

describe('a key has one use:', () => {
  let connectionKey: string;

  beforeAll(async () => {
    ({ keyId: connectionKey } = await store.create(binding));
  });

  // A request that reached the TPM would not end before the time limit.
  async function withSilentTpm(promise: () => Promise<unknown>): Promise<DeviceKeyError> {
    machine.tpm.pause();
    try {
      return await rejection(promise());
    } finally {
      machine.tpm.resume();
    }
  }
  const unlessOnWindows = onWindows ? test.skip : test;

  unlessOnWindows('a DPoP key signs no payload, and the TPM is not asked', async () => {
    const payloads = [connectionPayload(), enrollmentPayload()];
    for (const payload of payloads) {
      const error = await withSilentTpm(() => store.sign({ keyId: key.keyId, payload }));
      expect([error.code, error.message.split(': ')[0]]).toEqual(['binding_mismatch', 'keyId']);
    }
  });

  unlessOnWindows('a connection key signs no DPoP proof, and the TPM is not asked', async () => {
    const error = await withSilentTpm(() => store.signDpop({ keyId: connectionKey, ...request }));
    expect([error.code, error.message.split(': ')[0]]).toEqual(['binding_mismatch', 'keyId']);
  });

  unlessOnWindows('a DPoP key signs for its own origins, and the TPM is not asked', async () => {
    const params = { keyId: key.keyId, htm: 'GET', htu: 'https://other.example.com/' };
    const error = await withSilentTpm(() => store.signDpop(params));
    expect([error.code, error.message.split(': ')[0]]).toEqual(['binding_mismatch', 'htu']);
  });
});

// On Windows and macOS only the record has the binding.
(onWindows ? describe.skip : describe)('a record that was edited fails in the TPM:', () => {
  async function edited(keyId: string, edit: (record: Record<string, unknown>) => void) {
    const file = machine.recordPath(keyId);
    const record = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;
    edit(record);
    await writeFile(file, JSON.stringify(record), { mode: 0o600 });
  }
  // TPM_RC_AUTH_FAIL or TPM_RC_BAD_AUTH for the first session (TPM 2.0 Part 2, section 6.6.3).
  const byTheTpm = expect.stringMatching(/^0x9(8e|a2)$/) as string;

  test('to another origin', async () => {
    const { keyId } = await store.createDpopKey(dpopParams);
    await edited(keyId, (record) => (record.origins = ['https://evil.example.com']));
    const error = await rejection(
      store.signDpop({ keyId, htm: 'POST', htu: 'https://evil.example.com/token' }),
    );
    expect(error).toMatchObject({ code: 'binding_mismatch', platformStatus: byTheTpm });
  });

  test('to another client', async () => {
    const { keyId } = await store.createDpopKey(dpopParams);
    await edited(keyId, (record) => (record.clientId = 'cli_43'));
    const error = await rejection(store.signDpop({ keyId, ...request }));
    expect(error).toMatchObject({ code: 'binding_mismatch', platformStatus: byTheTpm });
  });

  test('to the other use', async () => {
    const { keyId } = await store.createDpopKey(dpopParams);
    await edited(keyId, (record) => {
      record.version = 1;
      record.accountUserId = binding.accountUserId;
    });
    const error = await rejection(store.sign({ keyId, payload: connectionPayload() }));
    expect(error).toMatchObject({ code: 'binding_mismatch', platformStatus: byTheTpm });
    const own = await store.create(binding);
    await edited(own.keyId, (record) => {
      Object.assign(record, { version: 2, use: 'dpop', origins: [origin] });
    });
    const other = await rejection(store.signDpop({ keyId: own.keyId, ...request }));
    expect(other).toMatchObject({ code: 'binding_mismatch', platformStatus: byTheTpm });
  });
});

(onWindows ? test.skip : test)('iat is the time after the wait in the queue', async () => {
  machine.tpm.pause();
  // The TPM does not answer the first one; the second one waits for its turn.
  const [first, second] = [sign(), sign()];
  await delay(2100);
  const before = Math.floor(Date.now() / 1000);
  machine.tpm.resume();
  expect(claimsOf(await first).iat).toBeLessThan(before);
  expect(claimsOf(await second).iat).toBeGreaterThanOrEqual(before);
});

test('a DPoP key can be read and deleted like any other', async () => {
  const { keyId, publicKeySpkiDerBase64 } = await store.createDpopKey(dpopParams);
  expect(await store.public({ keyId })).toMatchObject({ publicKeySpkiDerBase64 });
  await store.delete({ keyId });
  expect((await rejection(store.signDpop({ keyId, ...request }))).code).toBe('key_not_found');
});

test('keys of older versions stay unchanged', async () => {
  const created = await store.create(binding);
  const record = await readFile(machine.recordPath(created.keyId), 'utf8');
  expect(Object.keys(JSON.parse(record) as object)).toEqual([
    ...['version', 'keyId', 'provider', 'protectionClass', 'publicKeySpkiDerBase64'],
    ...['accountUserId', 'clientId', 'createdAt', 'handle'],
  ]);
  expect(record).toMatch(/^\{\n {2}"version": 1,\n/);
  const signed = await store.sign({ keyId: created.keyId, payload: connectionPayload() });
  expect(verifies(created.publicKeySpkiDerBase64, signed)).toBe(true);
});
