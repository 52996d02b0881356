import { DeviceKeyVerificationError } from '../error';

/**
 * Reads a marshalled TPM structure (TPM 2.0 Part 2): big-endian integers, and buffers that begin with
 * their length in two bytes.
 *
 * Every method fails with `attestation_malformed` where the bytes end too early or a length is above
 * its limit; the message names the structure.
 */
export class TpmReader {
  readonly #bytes: Buffer;
  readonly #what: string;
  #offset = 0;

  /** @param what the structure's name, for messages */
  constructor(bytes: Buffer, what: string) {
    this.#bytes = bytes;
    this.#what = what;
  }

  uint8(): number {
    return this.#take(1).readUInt8();
  }

  uint16(): number {
    return this.#take(2).readUInt16BE();
  }

  uint32(): number {
    return this.#take(4).readUInt32BE();
  }

  uint64(): bigint {
    return this.#take(8).readBigUInt64BE();
  }

  /** A TPM2B: its length in two bytes, then that many bytes, `limit` at most. */
  sized(limit: number): Buffer {
    const length = this.uint16();
    if (length > limit) throw this.malformed(`has a buffer of more than ${limit} bytes`);
    return this.#take(length);
  }

  /** Fails when bytes are left. */
  end(): void {
    if (this.#offset !== this.#bytes.length) throw this.malformed('has trailing bytes');
  }

  malformed(problem: string): DeviceKeyVerificationError {
    return new DeviceKeyVerificationError('attestation_malformed', `${this.#what} ${problem}`);
  }

  #take(length: number): Buffer {
    const end = this.#offset + length;
    if (end > this.#bytes.length) throw this.malformed('ends too early');
    const bytes = this.#bytes.subarray(this.#offset, end);
    this.#offset = end;
    return bytes;
  }
}

/** A TPM2B of `bytes`. */
export function sizedBuffer(bytes: Uint8Array): Buffer {
  const marshalled = Buffer.alloc(2 + bytes.length);
  marshalled.writeUInt16BE(bytes.length);
  marshalled.set(bytes, 2);
  return marshalled;
}
