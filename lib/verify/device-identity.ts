import type { DeviceKeyPublicResponse } from '../../types/v2';
import { toJson } from '../own';
import { readArgument } from './arguments';

/**
 * What `deviceIdentitySha256Base64url` of an enrollment payload says about a key: SHA-256, in unpadded
 * base64url, of the UTF-8 JSON text of `{algorithm,keyId,protectionClass,publicKeySpkiDerBase64}`,
 * members in this order, no white space. Ignores other members of `key`.
 *
 * The client hashes the answer of `create` or `public`. The backend hashes the key that the client sent at
 * enrollment and expects the same hash in the proof.
 *
 * @throws TypeError when one of the four is not a string.
 */
export function deviceIdentitySha256(key: DeviceKeyPublicResponse): string {
  const { algorithm, keyId, protectionClass, publicKeySpkiDerBase64 } = readArgument(key, 'key');
  const identity = { algorithm, keyId, protectionClass, publicKeySpkiDerBase64 };
  for (const [name, value] of Object.entries(identity)) {
    if (typeof value !== 'string') throw new TypeError(`key.${name} must be a string`);
  }
  // Loaded at the first use: it takes three times as long to load as the rest of the main entry.
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- `import` would load it at once
  const { createHash } = require('node:crypto') as typeof import('node:crypto');
  return createHash('sha256').update(toJson(identity, 'key')).digest('base64url');
}
