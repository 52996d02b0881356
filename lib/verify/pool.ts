import { verify, type DSAEncoding, type KeyObject, type VerifyKeyObjectInput } from 'node:crypto';

/**
 * Verifications on the calling thread within one turn of the event loop: less than 1 ms. A lone
 * verification is faster there, because it needs no change of threads.
 */
const MAX_PER_TURN = 8;

/**
 * Verifications in libuv's pool at a time. It keeps every thread of the pool busy, and the file and DNS
 * operations of the process still wait for less than a millisecond.
 */
const MAX_IN_POOL = 16;

let madeInThisTurn = 0;
let inPool = 0;
const waiting = new Set<() => void>();

/** Whether the calling thread may verify now. If so, counts the verification. */
export function mayVerifyHere(): boolean {
  if (inPool > 0 || waiting.size > 0 || madeInThisTurn >= MAX_PER_TURN) return false;
  if (madeInThisTurn === 0) {
    setImmediate(() => {
      madeInThisTurn = 0;
    });
  }
  madeInThisTurn += 1;
  return true;
}

/** ECDSA with SHA-256 over `signedPayload`; the signature is in DER. */
export interface Verification {
  publicKeySpkiDerBase64: string;
  key: KeyObject;
  signedPayload: Uint8Array;
  der: Uint8Array;
}

/** The key as `crypto.verify` takes it. No prototype, so that prototype pollution adds no option. */
export function verificationKey(
  key: KeyObject,
  dsaEncoding: DSAEncoding = 'der',
): VerifyKeyObjectInput {
  return { __proto__: null, key, dsaEncoding } as VerifyKeyObjectInput;
}

/**
 * Verifies on a thread of libuv's pool. `prepare` runs on the calling thread when the pool has room,
 * so a burst of requests only adds them to the queue.
 */
export async function verifyInPool(
  prepare: () => Verification,
): Promise<{ verification: Verification; holds: boolean }> {
  if (inPool < MAX_IN_POOL) inPool += 1;
  // The verification that ends passes its place to the next one.
  else await new Promise<void>((resolve) => waiting.add(resolve));
  try {
    const verification = prepare();
    return { verification, holds: await verifyOnThread(verification) };
  } finally {
    const [next] = waiting;
    if (next === undefined) inPool -= 1;
    else {
      waiting.delete(next);
      next();
    }
  }
}

function verifyOnThread({ key, signedPayload, der }: Verification): Promise<boolean> {
  return new Promise((resolve, reject) => {
    verify('sha256', signedPayload, verificationKey(key), der, (error, holds) => {
      if (error) reject(error);
      else resolve(holds);
    });
  });
}
