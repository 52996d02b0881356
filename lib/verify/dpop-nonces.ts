import { createHmac, timingSafeEqual } from 'node:crypto';

import { clockOf, isBytes, readArgument } from './arguments';
import { base64UrlByteLength } from './base64';

const TIME_BYTES = 6;
const TAG_BYTES = 16;

/**
 * The nonces of a server (RFC 9449 sections 8 and 9), without a record of them: each is the time of its
 * making and an HMAC-SHA256 over that. Every process with the same secret accepts the others' nonces.
 *
 * Send `issue()` in the `DPoP-Nonce` header of each answer, and pass the object as `expected.nonce` to
 * `verifyDpopProof`. A new secret costs each client one more request.
 */
export class DpopServerNonces {
  readonly #secret: Uint8Array;
  readonly #lifetimeSeconds: number;
  readonly #now: () => number;

  /**
   * @param secret at least 32 random bytes
   * @param options.lifetimeSeconds how long a nonce is accepted; default 300
   * @param options.now the time in Unix seconds; default the system clock
   */
  constructor(secret: Uint8Array, options: { lifetimeSeconds?: number; now?: () => number } = {}) {
    const own = readArgument(options, 'options');
    const { lifetimeSeconds = 300 } = own;
    if (!isBytes(secret) || secret.length < 32) {
      throw new TypeError('secret must have at least 32 bytes');
    }
    if (!Number.isFinite(lifetimeSeconds) || lifetimeSeconds <= 0) {
      throw new TypeError('options.lifetimeSeconds must be a number of seconds above 0');
    }
    this.#secret = Uint8Array.from(secret);
    this.#lifetimeSeconds = lifetimeSeconds;
    this.#now = clockOf(own);
  }

  /** A nonce for a `DPoP-Nonce` header: 30 characters of base64url. */
  issue(): string {
    const time = Buffer.alloc(TIME_BYTES);
    time.writeUIntBE(Math.floor(this.#now()), 0, TIME_BYTES);
    return Buffer.concat([time, this.#tag(time)]).toString('base64url');
  }

  /** Whether a server with this secret issued the nonce within its lifetime. */
  accepts(nonce: string): boolean {
    if (base64UrlByteLength(nonce) !== TIME_BYTES + TAG_BYTES) return false;
    const bytes = Buffer.from(nonce, 'base64url');
    const time = bytes.subarray(0, TIME_BYTES);
    if (!timingSafeEqual(bytes.subarray(TIME_BYTES), this.#tag(time))) return false;
    // Another process's clock may be ahead of this one's.
    return Math.abs(this.#now() - time.readUIntBE(0, TIME_BYTES)) <= this.#lifetimeSeconds;
  }

  #tag(time: Uint8Array): Buffer {
    return createHmac('sha256', this.#secret)
      .update('device-key-dpop-nonce/v1\0')
      .update(time)
      .digest()
      .subarray(0, TAG_BYTES);
  }
}
