import { DeviceKeyError } from '../errors';
import { toJson } from '../own';

const MAX_BYTES = 2 ** 20;
const MAX_DEPTH = 64;

/**
 * The value that native/protocol/json_reader.cc reads from the text that `toJson` makes of these
 * arguments.
 *
 * @throws DeviceKeyError `invalid_params` for a text that is too long, nested too deep or has lone
 * surrogates.
 */
export function readJson(...args: Parameters<typeof toJson>): unknown {
  const text = toJson(...args);
  if (Buffer.byteLength(text) > MAX_BYTES) {
    throw new DeviceKeyError('invalid_params', 'expected at most 1 MiB of JSON text');
  }
  const document: unknown = JSON.parse(text);
  requireReadable(document, 0);
  return document;
}

function requireReadable(value: unknown, depth: number): void {
  if (typeof value === 'string') {
    if (!/\p{Surrogate}/u.test(value)) return;
    throw new DeviceKeyError(
      'invalid_params',
      'expected one JSON value in UTF-8, and found a lone surrogate',
    );
  }
  if (typeof value !== 'object' || value === null) return;
  if (depth >= MAX_DEPTH) {
    throw new DeviceKeyError(
      'invalid_params',
      `expected JSON nested at most ${MAX_DEPTH} levels deep`,
    );
  }
  for (const [name, member] of Object.entries(value)) {
    requireReadable(name, depth + 1);
    requireReadable(member, depth + 1);
  }
}

/** Whether JSON.stringify writes it as an integer that fits 64 bits; -2^63 is written with more digits. */
export function isInt64(value: unknown): value is number {
  return Number.isInteger(value) && Math.abs(value as number) < 2 ** 63;
}

export function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
