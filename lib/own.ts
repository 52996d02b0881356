/**
 * Reads the objects that callers pass: options, params, expectations.
 *
 * Reads own members only. A program that merges untrusted JSON carelessly into its objects adds members to
 * `Object.prototype` (prototype pollution, CWE-1321), and every object then inherits them. They must not
 * act as options.
 */
import { DeviceKeyError } from './errors';

/**
 * A copy of an object's own enumerable members. Each is read once, so the copy
 * does not change. The copy has no prototype. Null, undefined and values that are not objects have no members.
 */
export function ownMembers<T extends object>(value: T | null | undefined): Partial<T> {
  const members = typeof value === 'object' ? value : undefined;
  return { __proto__: null, ...members } as unknown as Partial<T>;
}

/**
 * {@link ownMembers} of the options that a caller passed as the argument `what`.
 *
 * @throws DeviceKeyError `invalid_params` for anything but an object or undefined, and for an object
 *   whose members cannot be read.
 */
export function readOptions<T extends object>(
  options: T | undefined,
  what = 'options',
): Partial<T> {
  if (options !== undefined && (typeof options !== 'object' || (options as unknown) === null)) {
    throw new DeviceKeyError('invalid_params', `${what}: expected an object`);
  }
  try {
    return ownMembers(options);
  } catch (cause) {
    throw new DeviceKeyError('invalid_params', `${what}: cannot be read`, { cause });
  }
}

/**
 * The JSON text of the value that a caller passed as `what`, for the native decoder, which checks it.
 * `convert` may replace the value of a member.
 *
 * Ignores `toJSON` of a prototype and inherited array elements. Without `convert` it does so only when a
 * prototype has `toJSON`, because the replacer triples the time of JSON.stringify for each signature.
 *
 * @throws DeviceKeyError `invalid_params` for a value that JSON cannot express, such as a BigInt or a cycle.
 */
export function toJson(
  value: unknown,
  what: string,
  convert?: (name: string, value: unknown) => unknown,
): string {
  function ownValue(this: Record<string, unknown>, name: string): unknown {
    const own = Object.hasOwn(this, name) ? this[name] : undefined;
    return convert ? convert(name, own) : own;
  }
  try {
    const isPlain = convert === undefined && !('toJSON' in Array.prototype);
    // Undefined for functions and symbols, contrary to the declared type.
    const text: unknown = JSON.stringify(value, isPlain ? undefined : ownValue);
    return typeof text === 'string' ? text : 'null';
  } catch (cause) {
    throw new DeviceKeyError('invalid_params', `${what}: cannot be written as JSON`, { cause });
  }
}
