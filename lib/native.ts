import { readFileSync } from 'node:fs';

import { DeviceKeyError, type DeviceKeyErrorCode } from './errors';
import { ownMembers } from './own';

/** An error of the addon; `toDeviceKeyError` makes the public error from it. */
export interface NativeError {
  code: DeviceKeyErrorCode;
  message: string;
  platformStatus?: string;
}

/**
 * The addon's store. Arguments and results are JSON texts, so that one strict decoder serves all
 * callers. Each method starts a request and returns its number; `onSettled` is called later, with the
 * JSON text of the result or with an error.
 */
export interface NativeStore {
  create(params: string): number;
  createUnbound(params: string): number;
  createDpopKey(params: string): number;
  public(params: string): number;
  sign(params: string): number;
  signBytes(params: string): number;
  signDpop(params: string): number;
  delete(params: string): number;
  attest(params: string): number;
  activateAttestation(params: string): number;
  list(): number;
  support(all: boolean): number;
  close(): number;
  /** The directory of the key records, absolute. Does not read the disk. */
  directory(): string;
  /** Returns once, as the JSON text of a `Pkcs11PinQuestion`, the token whose PIN a request needs. */
  takePinQuestion(): string;
  /** Sets the PIN for the next request that needs it. */
  answerPin(pin: string): void;
  /** True if the request will never be settled. */
  cancel(request: number): boolean;
  /** Settles no more requests and releases the hardware before it returns; waits at most one second. */
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

/** Loads the addon on first use, so that importing the package works without one. */
export function loadNative(): Native {
  if (loaded) return loaded;
  const failures: Error[] = [];
  const addon = sourceBuild(failures) ?? prebuild(failures);
  if (!addon) throw loadError(failures);
  loaded = addon;
  return loaded;
}

/* eslint-disable @typescript-eslint/no-require-imports -- `import` cannot load an addon.
 *
 * The paths are literals: no environment variable can name another file, and bundlers can follow
 * them. Each `require` stands directly in a `try` block, because bundlers then accept that a file is
 * missing, as all files but one are. */

/** The addon that node-gyp compiled on this machine. */
function sourceBuild(failures: Error[]): Native | undefined {
  try {
    return checked(require('../build/Release/device_key.node'));
  } catch (failure) {
    failures.push(failure as Error);
    return undefined;
  }
}

/** The addon that the package contains. The file names are those that prebuildify gives. */
function prebuild(failures: Error[]): Native | undefined {
  try {
    switch (target()) {
      case 'linux-x64-glibc':
        return checked(require('../prebuilds/linux-x64/node-device-key.glibc.node'));
      case 'linux-x64-musl':
        return checked(require('../prebuilds/linux-x64/node-device-key.musl.node'));
      case 'linux-arm64-glibc':
        return checked(require('../prebuilds/linux-arm64/node-device-key.glibc.node'));
      case 'linux-arm64-musl':
        return checked(require('../prebuilds/linux-arm64/node-device-key.musl.node'));
      case 'darwin-x64':
        return checked(require('../prebuilds/darwin-x64/node-device-key.node'));
      case 'darwin-arm64':
        return checked(require('../prebuilds/darwin-arm64/node-device-key.node'));
      case 'win32-x64':
        return checked(require('../prebuilds/win32-x64/node-device-key.node'));
      case 'win32-arm64':
        return checked(require('../prebuilds/win32-arm64/node-device-key.node'));
    }
  } catch (failure) {
    failures.push(failure as Error);
  }
  return undefined;
}
/* eslint-enable @typescript-eslint/no-require-imports */

/** A file with the same name beside a bundle may be another package's addon. */
function checked(exports: unknown): Native {
  const { NativeStore, checkShape } = exports as Partial<Native>;
  if (typeof NativeStore === 'function' && typeof checkShape === 'function') {
    return exports as Native;
  }
  throw new Error('the addon that was found is not the one of node-device-key');
}

/** The platform's name in the names of prebuilds. */
function target(): string {
  const { platform, arch } = process;
  if (platform !== 'linux') return `${platform}-${arch}`;
  return `linux-${arch}-${usesMusl() ? 'musl' : 'glibc'}`;
}

/** Whether this process runs on musl: its dynamic linker then has that name. */
function usesMusl(): boolean {
  try {
    return readFileSync('/proc/self/maps', 'latin1').includes('/ld-musl-');
  } catch {
    return false;
  }
}

function loadError(failures: Error[]): DeviceKeyError {
  const isAbsent = ({ code }: NodeJS.ErrnoException) => code === 'MODULE_NOT_FOUND';
  // Prefer a file that exists but cannot be loaded: its error is the more useful one.
  const cause = failures.find((failure) => !isAbsent(failure)) ?? failures[0];
  const reason = cause && !isAbsent(cause) ? `: ${cause.message.split('\n')[0] ?? ''}` : '';
  const message = isBundled()
    ? `the addon of node-device-key cannot be loaded from this bundle${reason}. ` +
      'Tell the bundler that node-device-key is external, and ship the package beside the bundle'
    : reason
      ? `the addon of node-device-key for ${target()} cannot be loaded${reason}. ` +
        'Run `npm rebuild --foreground-scripts node-device-key` on this machine'
      : `there is no build of node-device-key for ${target()} ` +
        `(Node-API ${process.versions.napi ?? '?'}). Install a C++20 compiler, Python and OpenSSL's ` +
        'static library, then run `npm rebuild --foreground-scripts node-device-key`';
  return new DeviceKeyError('platform_error', message, { cause });
}

/** Whether a bundler has put this module into a bundle. */
function isBundled(): boolean {
  // A bundle that is an ES module has no `__filename`.
  return typeof __filename === 'undefined' || !/[\\/]dist[\\/]native\.js$/.test(__filename);
}

export function toDeviceKeyError(error: NativeError): DeviceKeyError {
  const { code, message, platformStatus } = ownMembers(error) as NativeError;
  return new DeviceKeyError(code, message, { platformStatus });
}

/**
 * Converts a value that was thrown in or before a call of the addon to the error to reject with.
 */
export function thrownToError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : toDeviceKeyError(thrown as NativeError);
}
