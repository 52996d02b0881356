import path from 'node:path';

import { DeviceKeyError, type DeviceKeyErrorCode } from './errors';
import { ownMembers } from './own';

/** What the addon throws and reports; `toDeviceKeyError` makes the public error of it. */
export interface NativeError {
  code: DeviceKeyErrorCode;
  message: string;
  platformStatus?: string;
}

/**
 * The addon's store. Arguments and results are JSON texts, so that one strict decoder serves every
 * way in. Each method starts a request and returns its number; `onSettled` is called later, with the
 * JSON text of the result or with what went wrong.
 */
export interface NativeStore {
  create(params: string): number;
  createUnbound(params: string): number;
  public(params: string): number;
  sign(params: string): number;
  signBytes(params: string): number;
  delete(params: string): number;
  list(): number;
  support(all: boolean): number;
  close(): number;
  /** The token that a request lacked the PIN of, as the JSON text of a `Pkcs11PinQuestion`; once. */
  takePinQuestion(): string;
  /** For the next request that needs it. */
  answerPin(pin: string): void;
  /** True when the request will not be settled any more. */
  cancel(request: number): boolean;
  /** Settles nothing more and lets go of the hardware before it returns; waits a second at most. */
  abandon(): void;
}

export interface Native {
  NativeStore: new (
    options: string,
    onSettled: (request: number, outcome: string | NativeError) => void,
  ) => NativeStore;
  checkShape(kind: 'create' | 'public' | 'sign', params: string): void;
}

let loaded: Native | undefined;

/** Loads the addon on first use, so that importing the package cannot fail for want of one. */
export function loadNative(): Native {
  if (loaded) return loaded;
  try {
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- finds the right binary
    const load = require('node-gyp-build') as (root: string) => Native;
    loaded = load(path.join(__dirname, '..'));
  } catch (cause) {
    throw new DeviceKeyError(
      'platform_error',
      `there is no build of node-device-key for ${process.platform}-${process.arch} ` +
        `(Node-API ${process.versions.napi ?? '?'}); run \`npm rebuild node-device-key\` with a C++20 compiler`,
      { cause },
    );
  }
  return loaded;
}

export function toDeviceKeyError(error: NativeError): DeviceKeyError {
  const { code, message, platformStatus } = ownMembers(error) as NativeError;
  return new DeviceKeyError(code, message, { platformStatus });
}

/** What to reject with for what a call of the addon threw, or what kept it from being made. */
export function thrownToError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : toDeviceKeyError(thrown as NativeError);
}
