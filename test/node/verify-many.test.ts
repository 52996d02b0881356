// Many proofs at once: most are verified in libuv's pool, and keys are imported once.
import { createPublicKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { verifyDeviceKeyProof } from '../../lib/verify';
import { knownKey, rememberKey } from '../../lib/verify/known-keys';
import { verifyDeviceKeySignatureAsync } from '../../lib/verify/signature';
import {
  codeOf,
  connectionPayload,
  expectedConnection,
  optionsAt,
  signer,
} from '../support/proof-fixtures';
import { SoftwareSigner } from '../support/software-signer';

const base64 = (hex: string) => Buffer.from(hex, 'hex').toString('base64');

test('the edge cases of test/vectors/ecdsa, all at once', async () => {
  const { vectors } = JSON.parse(
    readFileSync(join(__dirname, '../vectors/ecdsa/p256-sha256.json'), 'utf8'),
  ) as { vectors: { name: string; spki: string; message: string; sig: string; valid: boolean }[] };
  const codes = await Promise.all(
    vectors.map(({ spki, message, sig }) =>
      codeOf(() =>
        verifyDeviceKeySignatureAsync({
          algorithm: 'ecdsa_p256_sha256',
          publicKeySpkiDerBase64: base64(spki),
          signedPayloadBase64: base64(message),
          signatureDerBase64: base64(sig),
        }),
      ),
    ),
  );
  const wrong = vectors.filter(({ valid }, index) =>
    valid ? codes[index] !== undefined : !codes[index]?.startsWith('signature_'),
  );
  expect(wrong).toEqual([]);
});

test('the event loop turns between proofs that were sent at once', async () => {
  const proof = signer.signPayload(connectionPayload);
  let turns = 0;
  let over = false;
  const count = () => {
    turns += 1;
    if (!over) setImmediate(count);
  };
  setImmediate(count);
  const codes = await Promise.all(
    Array.from({ length: 400 }, () =>
      codeOf(() => verifyDeviceKeyProof(proof, expectedConnection, optionsAt())),
    ),
  );
  over = true;
  expect(codes.filter((code) => code !== undefined)).toEqual([]);
  // At most 16 are in the pool at a time, so they need at least 24 turns.
  expect(turns).toBeGreaterThan(20);
});

test('a proof that cannot be prepared frees its place in the queue', async () => {
  const proof = signer.signPayload(connectionPayload);
  const codes = await Promise.all(
    Array.from({ length: 100 }, (_, index) =>
      codeOf(() =>
        verifyDeviceKeyProof(
          index % 2 === 0 ? proof : { ...proof, signatureDerBase64: 'AA==' },
          expectedConnection,
          optionsAt(),
        ),
      ),
    ),
  );
  const expected = codes.map((_, index) => (index % 2 === 0 ? undefined : 'signature_malformed'));
  expect(codes).toEqual(expected);
});

describe('imported keys', () => {
  const verified = (key: SoftwareSigner, bytes: string) =>
    codeOf(() =>
      verifyDeviceKeySignatureAsync({
        publicKeySpkiDerBase64: key.publicKeySpkiDerBase64,
        ...key.sign('bytes'),
        signedPayloadBase64: Buffer.from(bytes).toString('base64'),
      }),
    );

  test('are cached when a signature by them is valid', async () => {
    const key = new SoftwareSigner();
    expect(knownKey(key.publicKeySpkiDerBase64)).toBeUndefined();
    expect(await verified(key, 'bytes')).toBeUndefined();
    const imported = knownKey(key.publicKeySpkiDerBase64);
    expect(imported?.export({ format: 'der', type: 'spki' })).toEqual(key.spki);
  });

  test('without a valid signature displace no other key', async () => {
    const key = new SoftwareSigner();
    expect(await verified(key, 'other bytes')).toBe('signature_mismatch');
    expect(knownKey(key.publicKeySpkiDerBase64)).toBeUndefined();
  });

  test('verify as strictly from the cache', async () => {
    const key = new SoftwareSigner();
    expect(await verified(key, 'bytes')).toBeUndefined();
    expect(await verified(key, 'other bytes')).toBe('signature_mismatch');
  });

  test('are evicted beyond 10,000, the least recently used first', () => {
    const imported: KeyObject = createPublicKey({ key: signer.spki, format: 'der', type: 'spki' });
    rememberKey('first', imported);
    rememberKey('second', imported);
    for (let i = 0; i < 9_998; i += 1) rememberKey(`key ${i}`, imported);
    rememberKey('first', imported); // used again
    rememberKey('one too many', imported);
    expect(knownKey('first')).toBe(imported);
    expect(knownKey('second')).toBeUndefined();
    // Often enough that each one is evicted in its turn.
    for (let i = 0; i < 50_000; i += 1) rememberKey(`later key ${i}`, imported);
    const kept = Array.from({ length: 50_000 }, (_, i) => knownKey(`later key ${i}`) !== undefined);
    expect(kept.indexOf(true)).toBe(40_000);
    expect(kept.lastIndexOf(false)).toBe(39_999);
  });
});
