import { DeviceKeyError } from '../errors';

/** @throws DeviceKeyError `invalid_params` for a store without these methods */
export function requireSigner(store: unknown, methods: readonly string[]): void {
  try {
    const given = store as Record<string, unknown>;
    if (methods.every((name) => typeof given[name] === 'function')) return;
  } catch {
    // Null, undefined, or an object that throws when it is read.
  }
  throw new DeviceKeyError('invalid_params', 'store: expected a DeviceKeyStore');
}
