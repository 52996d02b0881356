import type { DeviceKeyPublicResponse } from '../../types/v2';
import { table } from './output';

/** A key's public half, for people. */
export function publicKeyTable(key: DeviceKeyPublicResponse): string {
  return table([
    ['key id', key.keyId],
    ['protection', key.protectionClass],
    ['algorithm', key.algorithm],
    ['public key', key.publicKeySpkiDerBase64],
  ]);
}
