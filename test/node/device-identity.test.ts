// The digest of the key in an enrollment.
import { createHash } from 'node:crypto';

import * as main from '../../dist/index.js';
import * as verify from '../../dist/verify.js';

const key = {
  keyId: `dk_tpm_${'A'.repeat(43)}`,
  publicKeySpkiDerBase64: 'AAAA',
  algorithm: 'ecdsa_p256_sha256',
  protectionClass: 'hardware_tpm',
} as const;

test('is SHA-256 of the four members as JSON, in the order of the clients of the service', () => {
  const text =
    `{"algorithm":"ecdsa_p256_sha256","keyId":"dk_tpm_${'A'.repeat(43)}",` +
    '"protectionClass":"hardware_tpm","publicKeySpkiDerBase64":"AAAA"}';
  const digest = createHash('sha256').update(text).digest('base64url');
  expect(main.deviceIdentitySha256(key)).toBe(digest);
  expect(verify.deviceIdentitySha256(key)).toBe(digest);
});

test('does not depend on the order of the members, nor on others', () => {
  const listed = { clientId: 'client', ...Object.fromEntries(Object.entries(key).reverse()) };
  expect(main.deviceIdentitySha256(listed as never)).toBe(main.deviceIdentitySha256(key));
});

test.each(['algorithm', 'keyId', 'protectionClass', 'publicKeySpkiDerBase64'])(
  'needs %s',
  (member) => {
    expect(() => main.deviceIdentitySha256({ ...key, [member]: undefined })).toThrow(
      `key.${member} must be a string`,
    );
  },
);
