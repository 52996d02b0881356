import type { KeyObject } from 'node:crypto';

/** Each takes about 3 KB, most of it in OpenSSL. */
const CAPACITY = 10_000;

/** Imported public keys by their base64 text, the least recently used first. */
const keys = new Map<string, KeyObject>();

/** The imported form of a key that has verified a signature before. */
export function knownKey(publicKeySpkiDerBase64: string): KeyObject | undefined {
  const key = keys.get(publicKeySpkiDerBase64);
  if (key !== undefined) rememberKey(publicKeySpkiDerBase64, key);
  return key;
}

/**
 * Keeps an imported key for later verifications, and forgets the least recently used one when there
 * are too many.
 *
 * Call it only when a signature by the key holds: keys that clients make up must not displace others.
 */
export function rememberKey(publicKeySpkiDerBase64: string, key: KeyObject): void {
  keys.delete(publicKeySpkiDerBase64);
  keys.set(publicKeySpkiDerBase64, key);
  if (keys.size <= CAPACITY) return;
  for (const oldest of keys.keys()) {
    keys.delete(oldest);
    break;
  }
}
