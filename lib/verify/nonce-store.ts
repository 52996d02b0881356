import { clockOf, readArgument } from './arguments';

/** Remembers which nonces were used. Shared by every process that verifies proofs of one backend. */
export interface NonceStore {
  /**
   * Marks the nonce as used. Resolves to true for the first caller and to false for every later one;
   * of simultaneous callers exactly one gets true. Must remember the nonce until its own clock
   * reads `expiresAtUnixSeconds`, and must reject when it cannot promise that.
   */
  consume(nonce: string, expiresAtUnixSeconds: number): Promise<boolean>;
}

/** @throws TypeError for what no database can keep as a nonce and its expiry */
export function requireUse(nonce: unknown, expiresAtUnixSeconds: unknown): void {
  if (typeof nonce !== 'string') throw new TypeError('nonce must be a string');
  if (typeof expiresAtUnixSeconds !== 'number') {
    throw new TypeError('expiresAtUnixSeconds must be a number');
  }
}

/**
 * A {@link NonceStore} for a backend of one process.
 *
 * It holds at most `capacity` nonces. When none of them has expired, it rejects further ones, because
 * forgetting one would let an old proof pass a second time.
 */
export class InMemoryNonceStore implements NonceStore {
  readonly #expiryByNonce = new Map<string, number>();
  readonly #capacity: number;
  readonly #now: () => number;
  #earliestExpiry = Infinity;

  /**
   * @param options.capacity nonces held at once; default 100 000 (about 15 MB)
   * @param options.now the time in Unix seconds; default the system clock
   */
  constructor(options: { capacity?: number; now?: () => number } = {}) {
    const own = readArgument(options, 'options');
    const { capacity = 100_000 } = own;
    if (!Number.isSafeInteger(capacity) || capacity < 1) {
      throw new TypeError('capacity must be a positive integer');
    }
    this.#capacity = capacity;
    this.#now = clockOf(own);
  }

  /** The number of nonces held, including expired ones that were not yet swept. */
  get size(): number {
    return this.#expiryByNonce.size;
  }

  // Async, so that an error becomes a rejection. It awaits nothing, and is therefore atomic.
  // eslint-disable-next-line @typescript-eslint/require-await
  async consume(nonce: string, expiresAtUnixSeconds: number): Promise<boolean> {
    requireUse(nonce, expiresAtUnixSeconds);
    const now = this.#now();
    // An expired nonce may have been swept already, so "not held" would not mean "not used".
    if (!(expiresAtUnixSeconds > now) || this.#expiryByNonce.has(nonce)) return false;
    if (this.#expiryByNonce.size >= this.#capacity) this.#sweep(now);
    if (this.#expiryByNonce.size >= this.#capacity) {
      throw new Error(
        `the nonce store is full: ${this.#capacity} nonces are in force; raise its capacity`,
      );
    }
    this.#expiryByNonce.set(nonce, expiresAtUnixSeconds);
    this.#earliestExpiry = Math.min(this.#earliestExpiry, expiresAtUnixSeconds);
    return true;
  }

  #sweep(now: number): void {
    if (now < this.#earliestExpiry) return; // keeps a full store cheap to refuse
    this.#earliestExpiry = Infinity;
    for (const [nonce, expiry] of this.#expiryByNonce) {
      if (expiry <= now) this.#expiryByNonce.delete(nonce);
      else this.#earliestExpiry = Math.min(this.#earliestExpiry, expiry);
    }
  }
}
