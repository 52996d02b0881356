import { generateKeyPairSync, sign } from 'node:crypto';
import fc from 'fast-check';

import {
  DeviceKeyVerificationError,
  DpopServerNonces,
  InMemoryNonceStore,
  verifyDpopProof,
  type ExpectedDpopProof,
  type NonceStore,
  type VerifyDpopProofOptions,
} from '../../lib/verify';
import { brokenProofs, goodClaims, HTU, NOW, TOKEN } from '../support/broken-dpop-proofs';
import { base64Url, digestOf, DpopSoftwareKey } from '../support/dpop-proofs';

const key = new DpopSoftwareKey();
const expected: ExpectedDpopProof = { htm: 'POST', htu: HTU };
const optionsAt = (now = NOW): VerifyDpopProofOptions => ({
  nonces: new InMemoryNonceStore({ now: () => now }),
  now: () => now,
});

async function codeOf(proof: unknown, wanted = expected, options = optionsAt()) {
  try {
    await verifyDpopProof(proof as string, wanted, options);
    return 'accepted';
  } catch (error) {
    if (error instanceof DeviceKeyVerificationError) return error.code;
    throw error;
  }
}
const codeFor = (claims: object, wanted = expected, now = NOW) =>
  codeOf(key.proof({ ...goodClaims(), ...claims }), wanted, optionsAt(now));

describe('a valid proof', () => {
  test('returns its key', async () => {
    const claims = goodClaims();
    expect(await verifyDpopProof(key.proof(claims), expected, optionsAt())).toEqual({
      jkt: key.jkt,
      jwk: key.jwk,
      jti: claims.jti,
      iat: claims.iat,
    });
  });

  test('can be for a token and the key that it is bound to', async () => {
    const wanted = { ...expected, accessToken: TOKEN, jkt: key.jkt };
    expect(await codeFor({ ath: digestOf(TOKEN) }, wanted)).toBe('accepted');
  });

  test.each([299, 300, -299, -300])('can have a clock that is %i s off', async (seconds) => {
    expect(await codeFor({ iat: NOW - seconds })).toBe('accepted');
  });

  test.each([301, 302, -301, -302])('cannot have a clock that is %i s off', async (seconds) => {
    expect(await codeFor({ iat: NOW - seconds })).toBe('dpop_iat_out_of_window');
  });

  test.each([
    ['a query', `${HTU}?x=1`, HTU],
    ['a fragment', `${HTU}#f`, HTU],
    ['the default port', 'https://server.example.com:443/token', HTU],
    ['upper case in the host', 'https://SERVER.example.com/token', HTU],
    ['an escaped letter', 'https://server.example.com/%74oken', HTU],
    ['no path', 'https://server.example.com', 'https://server.example.com/'],
    ['lower case in an escape', 'https://a.example/%c3%bc', 'https://a.example/%C3%BC'],
  ])('can be for a URL that the server writes with %s', async (_, htu, claimed) => {
    expect(await codeFor({ htu: claimed }, { ...expected, htu })).toBe('accepted');
  });
});

// RFC 9449, figures 2 and 12.
describe('the examples of RFC 9449', () => {
  const jwk =
    'eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklD' +
    'UkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2' +
    'R1JEQSIsImNydiI6IlAtMjU2In19';
  const tokenRequest =
    `${jwk}.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wb` +
    'GUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdL' +
    'XiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg';
  const resourceRequest =
    `${jwk}.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtc` +
    'GxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0Ji' +
    'MHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmc' +
    'w6Fy1dqd-jfxSYoMxhAJpLjA';

  test('are accepted at their time', async () => {
    const token = await verifyDpopProof(tokenRequest, expected, optionsAt(1562262616));
    expect(token.jti).toBe('-BwC3ESc6acc2lTc');
    // Section 6.1: the thumbprint in the access token of figure 8.
    expect(token.jkt).toBe('0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I');
    const resource = {
      htm: 'GET',
      htu: 'https://resource.example.org/protectedresource',
      accessToken: 'Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU',
      jkt: token.jkt,
    };
    expect(await codeOf(resourceRequest, resource, optionsAt(1562262618))).toBe('accepted');
    expect(
      await codeOf(resourceRequest, { ...resource, accessToken: 'other' }, optionsAt(1562262618)),
    ).toBe('dpop_ath_mismatch');
  });
});

describe('an invalid proof:', () => {
  test.each(brokenProofs(key).map(({ name, ...rest }) => [name, rest] as const))(
    '%s',
    async (_, { proof, code }) => {
      const wanted = { ...expected, accessToken: TOKEN, jkt: key.jkt, nonce: 'nonce-1' };
      expect(await codeOf(proof, wanted)).toBe(code);
    },
  );

  test('the proof without the faults below is accepted', async () => {
    const wanted = { ...expected, accessToken: TOKEN, jkt: key.jkt, nonce: 'nonce-1' };
    const claims = { ...goodClaims(), ath: digestOf(TOKEN), nonce: 'nonce-1' };
    expect(await codeOf(key.proof(claims), wanted)).toBe('accepted');
  });

  test('a token that is bound to another key', async () => {
    const other = new DpopSoftwareKey();
    expect(await codeFor({}, { ...expected, jkt: other.jkt })).toBe('dpop_key_mismatch');
  });

  test('a proof whose exp has passed or whose nbf is in the future', async () => {
    expect(await codeFor({ exp: NOW })).toBe('dpop_iat_out_of_window');
    expect(await codeFor({ exp: NOW + 1 })).toBe('accepted');
    expect(await codeFor({ nbf: NOW + 301 })).toBe('dpop_iat_out_of_window');
  });

  test('an RSA proof that claims ES256', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const header = { ...key.header, jwk: publicKey.export({ format: 'jwk' }) };
    const input = `${base64Url(JSON.stringify(header))}.${base64Url(JSON.stringify(goodClaims()))}`;
    const signature = sign('sha256', Buffer.from(input), privateKey).toString('base64url');
    expect(await codeOf(`${input}.${signature}`)).toBe('dpop_key_unacceptable');
  });

  test('any text', async () => {
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.string(), fc.string({ unit: 'binary' })), async (text) => {
        expect(await codeOf(text)).toBe('dpop_proof_malformed');
      }),
    );
  });

  test('a good proof with any character changed', async () => {
    const proof = key.proof(goodClaims());
    const change = fc.record({
      at: fc.nat(proof.length - 1),
      to: fc.constantFrom(...'aZ0-_.=+/ {'.split('')),
    });
    await fc.assert(
      fc.asyncProperty(change, async ({ at, to }) => {
        fc.pre(proof[at] !== to);
        expect(await codeOf(proof.slice(0, at) + to + proof.slice(at + 1))).not.toBe('accepted');
      }),
    );
  });
});

describe('each proof is accepted once', () => {
  test('by its key', async () => {
    const options = optionsAt();
    const proof = key.proof(goodClaims());
    expect(await codeOf(proof, expected, options)).toBe('accepted');
    expect(await codeOf(proof, expected, options)).toBe('dpop_replayed');
    const again = key.proof({ ...goodClaims(), jti: 'jti-1', iat: NOW - 1 });
    expect(await codeOf(again, expected, options)).toBe('dpop_replayed');
    const other = new DpopSoftwareKey().proof(goodClaims());
    expect(await codeOf(other, expected, options)).toBe('accepted');
  });

  test('exactly one of many at the same time', async () => {
    const options = optionsAt();
    const proof = key.proof(goodClaims());
    const codes = await Promise.all(
      Array.from({ length: 20 }, () => codeOf(proof, expected, options)),
    );
    expect(codes.sort()).toEqual(['accepted', ...Array<string>(19).fill('dpop_replayed')]);
  });

  test('a refused proof is not used up', async () => {
    const options = optionsAt();
    const proof = key.proof(goodClaims());
    expect(await codeOf(proof, { ...expected, htm: 'GET' }, options)).toBe('dpop_htm_mismatch');
    expect(await codeOf(proof, expected, options)).toBe('accepted');
  });

  test('its jti is kept, hashed, as long as the proof could be accepted', async () => {
    const asked: [string, number][] = [];
    const nonces: NonceStore = {
      consume: (nonce, expiresAt) => Promise.resolve(asked.push([nonce, expiresAt]) > 0),
    };
    await verifyDpopProof(key.proof(goodClaims()), expected, { nonces, now: () => NOW });
    expect(asked).toEqual([[`${key.jkt}:${digestOf('jti-1')}`, NOW + 300 + 60 + 1]]);
  });

  test('a store that fails lets no proof pass', async () => {
    const broken = [
      () => Promise.reject(new Error('down')),
      () => Promise.resolve('OK' as unknown as boolean),
    ];
    for (const consume of broken) {
      const options = { nonces: { consume }, now: () => NOW };
      expect(await codeOf(key.proof(goodClaims()), expected, options)).toBe('nonce_store_failed');
    }
  });

  test("a store that answers after the proof's lifetime lets no proof pass", async () => {
    let now = NOW + 300;
    const nonces: NonceStore = {
      consume: () => {
        now += 1;
        return Promise.resolve(true);
      },
    };
    const options = { nonces, now: () => now };
    expect(await codeOf(key.proof(goodClaims()), expected, options)).toBe('dpop_iat_out_of_window');
  });
});

describe('a mistake of the caller is a TypeError:', () => {
  test.each<[string, object]>([
    ['no method', { htm: undefined }],
    ['no URL', { htu: '/token' }],
    ['a URL with user info', { htu: 'https://user@server.example.com/token' }],
    ['a token without the key that it is bound to', { accessToken: TOKEN }],
    ['an empty token', { accessToken: '', jkt: key.jkt }],
    ['a thumbprint that is none', { jkt: 'abc' }],
    ['an empty nonce', { nonce: '' }],
    ['a nonce that is none', { nonce: 5 }],
  ])('%s', async (_, change) => {
    const wanted = { ...expected, ...change };
    await expect(codeOf(key.proof(goodClaims()), wanted)).rejects.toBeInstanceOf(TypeError);
  });

  test.each<object>([{}, { nonces: {} }, { clockWindowSeconds: -1 }, { clockSkewSeconds: NaN }])(
    'the options %j',
    async (change) => {
      const options = { ...('nonces' in change ? {} : optionsAt()), ...change };
      const call = codeOf(key.proof(goodClaims()), expected, options as VerifyDpopProofOptions);
      if (Object.keys(change).length === 0) expect(await call).toBe('accepted');
      else await expect(call).rejects.toBeInstanceOf(TypeError);
    },
  );
});

describe('the nonces of a server', () => {
  const secret = Buffer.alloc(32, 7);
  const at = (now: number, bytes = secret) =>
    new DpopServerNonces(bytes, { lifetimeSeconds: 60, now: () => now });

  test('are accepted by every process with the secret, for their lifetime', () => {
    const nonce = at(NOW).issue();
    expect(nonce).toMatch(/^[\w-]{30}$/);
    for (const now of [NOW, NOW + 60, NOW - 5]) expect(at(now).accepts(nonce)).toBe(true);
    for (const now of [NOW + 61, NOW - 61]) expect(at(now).accepts(nonce)).toBe(false);
    expect(at(NOW, Buffer.alloc(32, 8)).accepts(nonce)).toBe(false);
  });

  test('cannot be made without the secret', () => {
    const nonce = at(NOW).issue();
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(at(NOW).accepts(text)).toBe(false);
      }),
    );
    for (let i = 0; i < nonce.length; i++) {
      const changed = nonce.slice(0, i) + (nonce[i] === 'A' ? 'B' : 'A') + nonce.slice(i + 1);
      expect(at(NOW).accepts(changed)).toBe(false);
    }
  });

  test('cause a proof with an old nonce to be refused', async () => {
    const nonce = at(NOW).issue();
    const wanted = { ...expected, nonce: at(NOW + 100) };
    expect(await codeFor({ nonce }, wanted)).toBe('dpop_nonce_mismatch');
    expect(await codeFor({ nonce }, { ...expected, nonce: at(NOW) })).toBe('accepted');
    expect(await codeFor({}, { ...expected, nonce: at(NOW) })).toBe('dpop_nonce_mismatch');
  });

  test('need a secret of 32 bytes', () => {
    for (const bad of [Buffer.alloc(31), 'x'.repeat(32)] as Uint8Array[]) {
      expect(() => new DpopServerNonces(bad)).toThrow(TypeError);
    }
    expect(() => new DpopServerNonces(secret, { lifetimeSeconds: 0 })).toThrow(TypeError);
  });
});
