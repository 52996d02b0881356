import { hasMethod, readArgument } from './arguments';
import { requireUse, type NonceStore } from './nonce-store';

/** A client of the package `redis` (node-redis 4 or later), connected. */
export interface NodeRedisClient {
  sendCommand(command: string[]): Promise<unknown>;
}

/** A client of the package `ioredis`. */
export interface IoredisClient {
  call(command: string, ...args: string[]): Promise<unknown>;
}

/**
 * A {@link NonceStore} in Redis 6.2 or later, or Valkey.
 *
 * One `SET … NX PXAT` consumes a nonce, so exactly one caller is first. It rejects when the answer does
 * not prove this: a server that cannot write (a read-only replica, memory full), a lost connection.
 *
 * Redis replicates asynchronously. After a failover to a replica that lags behind, nonces consumed in the
 * last moments before it are unknown; docs/backend.md says what to do about that.
 */
export class RedisNonceStore implements NonceStore {
  readonly #send: (...command: [string, ...string[]]) => Promise<unknown>;
  readonly #keyPrefix: string;

  /**
   * @param client the caller's client, which the caller closes
   * @param options.keyPrefix the prefix of the store's keys in Redis; default `device-key-nonce:`
   */
  constructor(client: NodeRedisClient | IoredisClient, options: { keyPrefix?: string } = {}) {
    const { keyPrefix = 'device-key-nonce:' } = readArgument(options, 'options');
    if (typeof keyPrefix !== 'string') throw new TypeError('options.keyPrefix must be a string');
    // Both have `sendCommand`; that of ioredis takes a Command object.
    if (hasMethod(client, 'call')) {
      this.#send = (command, ...args) => (client as IoredisClient).call(command, ...args);
    } else if (hasMethod(client, 'sendCommand')) {
      this.#send = (...command) => (client as NodeRedisClient).sendCommand(command);
    } else {
      throw new TypeError('client must be a client of the package redis or ioredis');
    }
    this.#keyPrefix = keyPrefix;
  }

  async consume(nonce: string, expiresAtUnixSeconds: number): Promise<boolean> {
    requireUse(nonce, expiresAtUnixSeconds);
    const key = this.#keyPrefix + nonce;
    const expiresAt = String(Math.ceil(expiresAtUnixSeconds * 1000));
    // Both are sent at once; the commands of a connection run in order.
    const [set, remaining] = await Promise.all([
      this.#send('SET', key, '1', 'NX', 'PXAT', expiresAt),
      this.#send('PTTL', key),
    ]);
    if (set === null) return false; // the key existed
    if (set !== 'OK') throw new Error('Redis answered SET with neither OK nor null');
    // SET with an expiry in the past answers OK and stores nothing.
    if (!(Number(remaining) > 0)) {
      throw new Error(
        'Redis did not keep the nonce: its clock is past the expiry, or it evicts keys',
      );
    }
    return true;
  }
}
