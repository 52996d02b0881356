/**
 * Reading what callers hand over: options, params, expectations.
 *
 * Only own members count. A program that merges untrusted JSON into its objects carelessly gets members
 * on `Object.prototype` (prototype pollution, CWE-1321), and every object then seems to have them. An
 * option that a caller leaves out must not come from there.
 */
import { DeviceKeyError } from './errors';

/**
 * A copy of an object's own enumerable members. Each is read once, so later reads of the copy cannot
 * give another value. The copy has no prototype. Null and undefined have no members.
 */
export function ownMembers<T extends object>(value: T | null | undefined): Partial<T> {
  return { __proto__: null, ...value } as unknown as Partial<T>;
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
 * JSON text of what a caller passed as `what`, for the native decoder, which refuses what does not fit.
 * `convert` may replace the value of a member.
 *
 * `toJSON` of a prototype is not obeyed and array elements are own members too. Without `convert` that
 * is looked at only where a prototype has `toJSON`: the replacer triples the time of JSON.stringify,
 * and each signature pays it.
 *
 * @throws DeviceKeyError `invalid_params` for what JSON cannot express: a BigInt, a cycle.
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
    // Undefined for functions and symbols, whatever the declared type says.
    const text: unknown = JSON.stringify(value, isPlain ? undefined : ownValue);
    return typeof text === 'string' ? text : 'null';
  } catch (cause) {
    throw new DeviceKeyError('invalid_params', `${what}: cannot be written as JSON`, { cause });
  }
}
