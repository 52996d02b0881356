import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import fc from 'fast-check';

import {
  DeviceKeyVerificationError,
  verifyDeviceKeySignature,
  type DeviceKeySignature,
} from '../../lib/verify';
import { codeOf } from '../support/proof-fixtures';
import { SoftwareSigner } from '../support/software-signer';

interface Vector {
  group: string;
  name: string;
  spki: string;
  message: string;
  sig: string;
  valid: boolean;
}

const { vectors } = JSON.parse(
  readFileSync(join(__dirname, '../vectors/ecdsa/p256-sha256.json'), 'utf8'),
) as { vectors: Vector[] };

const signer = new SoftwareSigner();
const text = 'the signed bytes';
const good: DeviceKeySignature = {
  publicKeySpkiDerBase64: signer.publicKeySpkiDerBase64,
  ...signer.sign(text),
};

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
const codeWith = (changes: object) =>
  codeOf(() => verifyDeviceKeySignature({ ...good, ...changes }));
const codeWithKey = (spki: Uint8Array) => codeWith({ publicKeySpkiDerBase64: base64(spki) });

function* bitFlips(bytes: Uint8Array): Generator<Buffer> {
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = Buffer.from(bytes);
    flipped[bit >> 3] = flipped[bit >> 3]! ^ (1 << (bit & 7));
    yield flipped;
  }
}

describe('the edge cases of test/vectors/ecdsa', () => {
  const groups = [...new Set(vectors.map(({ group }) => group))];

  test.each(groups)('%s', async (group) => {
    const wrong: string[] = [];
    for (const vector of vectors.filter((vector) => vector.group === group)) {
      const code = await codeWith({
        publicKeySpkiDerBase64: base64(Buffer.from(vector.spki, 'hex')),
        signedPayloadBase64: base64(Buffer.from(vector.message, 'hex')),
        signatureDerBase64: base64(Buffer.from(vector.sig, 'hex')),
      });
      const refusedForItsSignature = code?.startsWith('signature_') ?? false;
      if (vector.valid ? code !== undefined : !refusedForItsSignature) {
        wrong.push(`${vector.name}: ${code}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  test('include more than 90 valid and 300 invalid signatures', () => {
    expect(vectors.filter(({ valid }) => valid).length).toBeGreaterThan(90);
    expect(vectors.filter(({ valid }) => !valid).length).toBeGreaterThan(300);
  });

  test.each([
    ['length in long form, one byte', 'signature_malformed'],
    ['indefinite length', 'signature_malformed'],
    ['length one too large', 'signature_malformed'],
    ['trailing zero byte', 'signature_malformed'],
    ['sequence with a NULL after s', 'signature_malformed'],
    ['r of 32 bytes with a needless zero', 'signature_malformed'],
    ['s of 32 bytes with a needless zero', 'signature_malformed'],
    ['raw r and s of 64 bytes', 'signature_malformed'],
    ['s missing its leading zero', 'signature_out_of_range'],
    ['r = 0, s = 0', 'signature_out_of_range'],
    ['r = 1, s = n', 'signature_out_of_range'],
    ['r = 1, s = n - 1', 'signature_mismatch'],
  ])('get the right code: %s', async (name, code) => {
    const { sig } = vectors.find((vector) => vector.name === name)!;
    expect(await codeWith({ signatureDerBase64: base64(Buffer.from(sig, 'hex')) })).toBe(code);
  });
});

describe('a valid signature', () => {
  test('returns the signed bytes', () => {
    expect(Buffer.from(verifyDeviceKeySignature(good)).toString()).toBe(text);
  });

  test('is valid for its bytes and for no others', () => {
    const bytes = fc.uint8Array({ maxLength: 300 });
    fc.assert(
      fc.property(bytes, bytes, (signed, other) => {
        fc.pre(Buffer.compare(signed, other) !== 0);
        const { publicKeySpkiDerBase64 } = signer;
        const signature = { publicKeySpkiDerBase64, ...signer.sign(signed) };
        expect(base64(verifyDeviceKeySignature(signature))).toBe(base64(signed));
        const moved = { ...signature, signedPayloadBase64: base64(other) };
        expect(() => verifyDeviceKeySignature(moved)).toThrow(DeviceKeyVerificationError);
      }),
    );
  });
});

describe('every single flipped bit is refused', () => {
  test('of the signature', async () => {
    for (const flipped of bitFlips(Buffer.from(good.signatureDerBase64, 'base64'))) {
      expect(await codeWith({ signatureDerBase64: base64(flipped) })).toMatch(/^signature_/);
    }
  });

  test('of the signed bytes', async () => {
    for (const flipped of bitFlips(Buffer.from(text))) {
      const code = await codeWith({ signedPayloadBase64: base64(flipped) });
      expect(code).toBe('signature_mismatch');
    }
  });

  test('of the public key', async () => {
    for (const flipped of bitFlips(signer.spki)) {
      expect(await codeWithKey(flipped)).toMatch(/^public_key_/);
    }
  });
});

describe('public keys', () => {
  const exportKey = (pair: { publicKey: import('node:crypto').KeyObject }) =>
    pair.publicKey.export({ format: 'der', type: 'spki' });
  const point = signer.spki.subarray(27);
  const [x, y] = [point.subarray(0, 32), point.subarray(32)];
  const header = signer.spki.subarray(0, 27);

  test.each(['P-384', 'P-521', 'secp256k1', 'brainpoolP256r1'])('on %s', async (namedCurve) => {
    const spki = exportKey(generateKeyPairSync('ec', { namedCurve }));
    expect(await codeWithKey(spki)).toBe('public_key_unsupported');
  });

  test('of RSA', async () => {
    const spki = exportKey(generateKeyPairSync('rsa', { modulusLength: 2048 }));
    expect(await codeWithKey(spki)).toBe('public_key_unsupported');
  });

  test('of Ed25519', async () => {
    const spki = exportKey(generateKeyPairSync('ed25519'));
    expect(await codeWithKey(spki)).toBe('public_key_unsupported');
  });

  test('with the curve spelled out in parameters', async () => {
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-256', paramEncoding: 'explicit' });
    expect(await codeWithKey(exportKey(pair))).toBe('public_key_unsupported');
  });

  test('of another length that claim the curve', async () => {
    expect(await codeWithKey(signer.spki.subarray(0, 90))).toBe('public_key_malformed');
  });

  test('with a compressed point', async () => {
    const compressed = Buffer.concat([
      Buffer.from('3039301306072a8648ce3d020106082a8648ce3d030107032200', 'hex'),
      Buffer.of(2 + (y[31]! & 1)),
      x,
    ]);
    expect(await codeWithKey(compressed)).toBe('public_key_compressed');
  });

  test('with a hybrid point', async () => {
    const hybrid = Buffer.from(signer.spki);
    hybrid[26] = 6 + (y[31]! & 1);
    expect(await codeWithKey(hybrid)).toBe('public_key_malformed');
  });

  test('with trailing bytes', async () => {
    const code = await codeWithKey(Buffer.concat([signer.spki, Buffer.of(0)]));
    expect(code).toBe('public_key_trailing_bytes');
  });

  test('that are a bare point', async () => {
    expect(await codeWithKey(Buffer.concat([Buffer.of(4), point]))).toBe('public_key_malformed');
  });

  test('that are empty', async () => {
    expect(await codeWithKey(Buffer.of())).toBe('public_key_malformed');
  });

  const p = Buffer.from('ffffffff00000001000000000000000000000000ffffffffffffffffffffffff', 'hex');
  const zero = Buffer.alloc(32);
  test.each([
    ['the origin', zero, zero],
    ['exchanged coordinates', y, x],
    ['x not reduced', p, y],
    ['y not reduced', x, p],
    ['largest coordinates', Buffer.alloc(32, 0xff), Buffer.alloc(32, 0xff)],
  ])('with a point off the curve: %s', async (_name, x, y) => {
    expect(await codeWithKey(Buffer.concat([header, x, y]))).toBe('public_key_not_on_curve');
  });

  test('of another signer', async () => {
    expect(await codeWithKey(new SoftwareSigner().spki)).toBe('signature_mismatch');
  });
});

describe('base64 is canonical or refused', () => {
  const spellings: [string, (canonical: string) => string][] = [
    ['a trailing newline', (s) => `${s}\n`],
    ['a leading space', (s) => ` ${s}`],
    ['a line break within', (s) => `${s.slice(0, 8)}\r\n${s.slice(8)}`],
    ['no padding', (s) => s.replace(/=+$/, '')],
    ['more padding', (s) => `${s}=`],
    ['a character of no alphabet', (s) => `${s.slice(0, 8)}!${s.slice(8)}`],
    ['set bits beyond the last byte', (s) => s.replace(/A==$/, 'B==')],
    ['the URL alphabet', (s) => s.replace('/', '_').replace('+', '-')],
    ['a NUL', (s) => `${s}\0`],
    ['a second text', (s) => s + s],
  ];
  // One byte more than a multiple of three, and both characters that differ between the alphabets.
  const bytes = Buffer.from('fbeffbffffffff', 'hex');
  expect(base64(bytes)).toBe('++/7/////w==');

  test.each([
    ['publicKeySpkiDerBase64', 'public_key_base64_invalid'],
    ['signedPayloadBase64', 'signed_payload_base64_invalid'],
    ['signatureDerBase64', 'signature_base64_invalid'],
  ])('in %s', async (member, code) => {
    const canonical = base64(Buffer.concat([bytes, Buffer.of(0, 0, 0)]));
    expect(canonical).toMatch(/A==$/);
    for (const [name, spell] of spellings) {
      expect([name, await codeWith({ [member]: spell(canonical) })]).toEqual([name, code]);
    }
  });
});

describe('a value that is not a signature', () => {
  test.each(['ecdsa_p256_sha384', 'ES256', 'none', '', 'ECDSA_P256_SHA256'])(
    'algorithm %j',
    async (algorithm) => {
      expect(await codeWith({ algorithm })).toBe('algorithm_unsupported');
    },
  );

  test.each(Object.keys(good))('%s that is absent or not a string', async (member) => {
    for (const value of [undefined, null, 1, [], {}, Buffer.from('AA==')]) {
      expect(await codeWith({ [member]: value })).toBe('proof_malformed');
    }
  });

  test.each([undefined, null, 'text', 7])('%j in place of the object', async (value) => {
    const code = await codeOf(() => verifyDeviceKeySignature(value as never));
    expect(code).toBe('proof_malformed');
  });

  test('any bytes cause a typed error, never a crash', async () => {
    const bytes = fc.uint8Array({ maxLength: 120 });
    await fc.assert(
      fc.asyncProperty(bytes, bytes, async (key, signature) => {
        expect(await codeWith({ signatureDerBase64: base64(signature) })).toMatch(/^signature_/);
        expect(await codeWithKey(key)).toMatch(/^public_key_/);
      }),
    );
  });
});
