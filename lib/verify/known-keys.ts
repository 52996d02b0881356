import type { KeyObject } from 'node:crypto';

/** Each takes about 3 KB, most of it in OpenSSL. */
const CAPACITY = 10_000;

/** Imported public keys by their base64 text, the least recently used first. */
const keys = new Map<string, KeyObject>();

/**
 * Walks `keys` once. What it has passed is deleted, so it finds the oldest key at once; a new iterator would
 * have to pass all places of deleted keys first, which takes 4 to 14 µs.
 */
const oldest = keys.keys();

/** The imported form of a key that has verified a signature before. */
export function knownKey(publicKeySpkiDerBase64: string): KeyObject | undefined {
  return keys.get(publicKeySpkiDerBase64);
}

/**
 * Keeps an imported key for later verifications, as the one used last, and forgets the least recently used
 * one when there are too many.
 *
 * Call it only when a signature by the key holds: keys that clients make up must not displace others.
 */
export function rememberKey(publicKeySpkiDerBase64: string, key: KeyObject): void {
  keys.delete(publicKeySpkiDerBase64);
  keys.set(publicKeySpkiDerBase64, key);
  if (keys.size <= CAPACITY) return;
  const { value: forgotten } = oldest.next();
  if (forgotten !== undefined) keys.delete(forgotten);
}
