/**
 * Reads the arguments of a backend. An unusable argument is a mistake of the backend and gets a TypeError
 * that names it. Errors of the argument's own getters and traps never reach the caller directly.
 */
import { ownMembers } from '../own';

/** {@link ownMembers} of the argument `what`, which may be absent. */
export function readArgument<T extends object>(value: T | null | undefined, what: string) {
  if (value !== undefined && typeof value !== 'object') {
    throw new TypeError(`${what} must be an object`);
  }
  try {
    return ownMembers(value);
  } catch (cause) {
    throw new TypeError(`${what} must be an object whose members can be read`, { cause });
  }
}

/** Whether `value` has a method of that name, perhaps inherited. */
export function hasMethod(value: unknown, name: string): boolean {
  try {
    return typeof (value as Record<string, unknown> | undefined)?.[name] === 'function';
  } catch {
    return false;
  }
}

/** A copy of an array; undefined for a value that is not an array or cannot be read. */
export function copyOfArray(value: unknown): unknown[] | undefined {
  try {
    return Array.isArray(value) ? Array.from(value as unknown[]) : undefined;
  } catch {
    return undefined;
  }
}

/** Whether `value` is a Uint8Array whose buffer was not transferred: that would read as no bytes. */
export function isBytes(value: unknown): value is Uint8Array {
  // A proxy is no view, so that `instanceof` runs no code of the caller's.
  if (!ArrayBuffer.isView(value) || !(value instanceof Uint8Array)) return false;
  try {
    return new Uint8Array(value.buffer).length >= value.length;
  } catch {
    return false;
  }
}

export function systemSeconds(): number {
  return Date.now() / 1000;
}

/** The clock of `options`. */
export function clockOf({ now = systemSeconds }: { now?: (() => number) | undefined }) {
  if (typeof now !== 'function') {
    throw new TypeError('options.now must be a function that returns Unix seconds');
  }
  return now;
}
