// @ts-check
import { randomBytes } from 'node:crypto';

/**
 * Challenges that were issued and not yet answered, each with the facts that the backend must
 * remember about it. With several backend processes this must be a shared store with an atomic
 * "delete and return".
 *
 * @template Facts
 */
export class Challenges {
  /** @type {Map<string, Facts & { nonce: string, expiresAt: number }>} */
  #open = new Map();

  /**
   * @param {Facts} facts
   * @param {{ now: number, lifetimeSeconds: number }} time Unix seconds, seconds
   * @returns {{ challengeId: string, nonce: string, expiresAt: number }}
   */
  issue(facts, { now, lifetimeSeconds }) {
    for (const [id, { expiresAt }] of this.#open) if (expiresAt <= now) this.#open.delete(id);
    const challengeId = `ch_${randomBytes(16).toString('base64url')}`;
    const challenge = { nonce: newNonce(), expiresAt: now + lifetimeSeconds };
    this.#open.set(challengeId, { ...facts, ...challenge });
    return { challengeId, ...challenge };
  }

  /**
   * Returns a challenge once, then undefined: the challenge is used even if the proof is refused,
   * so a client cannot guess twice.
   *
   * @param {string} challengeId
   */
  take(challengeId) {
    const challenge = this.#open.get(challengeId);
    this.#open.delete(challengeId);
    return challenge;
  }
}

/** 32 random bytes, the minimum that device keys sign. */
export const newNonce = () => randomBytes(32).toString('base64url');
