/**
 * The four functions of the macOS-only device-key module of desktop apps, with the same arguments
 * and results, so that this module can replace it on other platforms.
 *
 * The caller forms the bytes to sign. It still cannot sign arbitrary bytes: they must be exactly one of
 * the two payloads in canonical form, and obey every rule of `DeviceKeyStore.sign`. A new key has no
 * account and no client; the first enrollment payload that it signs gives it both, permanently, and until
 * then it signs nothing else.
 *
 * @packageDocumentation
 */
import { isArrayBuffer } from 'node:util/types';

import type {
  DeviceKeyAlgorithm,
  DeviceKeyCreateResponse,
  DeviceKeyProtectionPolicy,
  DeviceKeyPublicResponse,
} from '../types/v2';
import { DeviceKeyError } from './errors';
import { readOptions } from './own';
import { DeviceKeyStore, type DeviceKeyStoreOptions, type TargetPolicy } from './store';

/**
 * Apps append `/codex/remote/control/client` or `/wham/remote/control/client` to the base that they are
 * configured with. Bases seen: `https://chatgpt.com/backend-api`, `http://localhost:8000/api` and
 * `http://127.0.0.1:3847/api`; the protocol itself uses the bare origin.
 */
const connectionPaths = [
  '/api/codex/remote/control/client',
  '/wham/remote/control/client',
  '/backend-api/codex/remote/control/client',
  '/backend-api/wham/remote/control/client',
];

/** The suffixes that apps append to a connection path to enroll a key or refresh its enrollment. */
const enrollmentSteps = ['enroll', 'enroll/finish', 'refresh/finish'];

/**
 * The default of `targets` here: the protocol's hosts, the protocol's paths and those that the apps
 * use, 900 seconds. Frozen. To change a part, pass `{ ...remoteControlTargets, … }` to
 * {@link openRemoteControl}.
 */
export const remoteControlTargets: Readonly<TargetPolicy> = Object.freeze({
  connectionPaths: Object.freeze(connectionPaths),
  enrollmentPaths: Object.freeze(
    connectionPaths.flatMap((path) => enrollmentSteps.map((step) => `${path}/${step}`)),
  ),
});

export interface RemoteControlSignature {
  algorithm: DeviceKeyAlgorithm;
  /** ECDSA-Sig-Value in DER, base64. */
  signatureDerBase64: string;
}

/** All reject with a `DeviceKeyError`. */
export interface RemoteControlDeviceKeys {
  /** Makes a key; as `DeviceKeyStore.create`, without account and client. */
  createDeviceKey(policy?: DeviceKeyProtectionPolicy | null): Promise<DeviceKeyCreateResponse>;
  /** As `DeviceKeyStore.public`. */
  getDeviceKeyPublic(keyId: string): Promise<DeviceKeyPublicResponse>;
  /**
   * Signs `bytes` without changing them. If `bytes` is a view into a larger buffer, signs only the
   * view. Rejects with `invalid_payload` for bytes that are not a payload in canonical form or
   * break a rule. Rejects with `binding_mismatch` for another account or client than the key's,
   * and, if the key has none yet, for anything but an enrollment. Otherwise as
   * `DeviceKeyStore.sign`.
   */
  signDeviceKey(keyId: string, bytes: Uint8Array | ArrayBuffer): Promise<RemoteControlSignature>;
  /**
   * As `DeviceKeyStore.delete`, but resolves if there is no such key, like other modules: otherwise
   * clients that delete a key before they forget it would fail forever. Also accepts an id in
   * another module's format. This does not revoke the key; see `DeviceKeyStore.delete`.
   */
  deleteDeviceKey(keyId: string): Promise<void>;
  /** As `DeviceKeyStore.close`. */
  close(): Promise<void>;
}

/** The four functions on a separate store; `targets` defaults to {@link remoteControlTargets}. */
export function openRemoteControl(options: DeviceKeyStoreOptions = {}): RemoteControlDeviceKeys {
  const own = readOptions(options);
  const store = DeviceKeyStore.open({ ...own, targets: own.targets ?? remoteControlTargets });
  return {
    createDeviceKey: (policy) => store.createUnbound({ protectionPolicy: policy ?? null }),
    getDeviceKeyPublic: (keyId) => sayNotFound(store.public({ keyId })),
    async signDeviceKey(keyId, bytes) {
      const signedPayloadBase64 = toBuffer(bytes).toString('base64');
      const { algorithm, signatureDerBase64 } = await sayNotFound(
        store.signBytes({ keyId, signedPayloadBase64 }),
      );
      return { algorithm, signatureDerBase64 };
    },
    async deleteDeviceKey(keyId) {
      if (isIdOfAnotherModule(keyId)) return;
      try {
        await store.delete({ keyId });
      } catch (error) {
        if (!isKeyNotFound(error)) throw error;
      }
    },
    close: () => store.close(),
  };
}

function isKeyNotFound(error: unknown): error is DeviceKeyError {
  return error instanceof DeviceKeyError && error.code === 'key_not_found';
}

/** Wrappers of such modules recognise a missing key by the words "not found". */
async function sayNotFound<Result>(operation: Promise<Result>): Promise<Result> {
  try {
    return await operation;
  } catch (error) {
    if (!isKeyNotFound(error)) throw error;
    throw new DeviceKeyError('key_not_found', `device key not found: ${error.message}`);
  }
}

/** Whether this is a key id in a format that no key of this package has. */
function isIdOfAnotherModule(keyId: unknown): boolean {
  return (
    typeof keyId === 'string' && /^[\w.:-]{1,256}$/.test(keyId) && !/^dk_(hse|tpm|osn)_/.test(keyId)
  );
}

let opened: RemoteControlDeviceKeys | undefined;

function defaultKeys(): RemoteControlDeviceKeys {
  return (opened ??= openRemoteControl());
}

/** {@link RemoteControlDeviceKeys.createDeviceKey} with the default options. */
export async function createDeviceKey(
  policy: DeviceKeyProtectionPolicy | null = 'hardware_only',
): Promise<DeviceKeyCreateResponse> {
  return defaultKeys().createDeviceKey(policy);
}

/** {@link RemoteControlDeviceKeys.getDeviceKeyPublic} with the default options. */
export async function getDeviceKeyPublic(keyId: string): Promise<DeviceKeyPublicResponse> {
  return defaultKeys().getDeviceKeyPublic(keyId);
}

/** {@link RemoteControlDeviceKeys.signDeviceKey} with the default options. */
export async function signDeviceKey(
  keyId: string,
  bytes: Uint8Array | ArrayBuffer,
): Promise<RemoteControlSignature> {
  return defaultKeys().signDeviceKey(keyId, bytes);
}

/** {@link RemoteControlDeviceKeys.deleteDeviceKey} with the default options. */
export async function deleteDeviceKey(keyId: string): Promise<void> {
  return defaultKeys().deleteDeviceKey(keyId);
}

/**
 * The same memory, not a copy, because the caller reads it immediately. `isArrayBuffer` and
 * `isView` also work for buffers and views of another realm (a `vm` context, Electron's contexts).
 */
function toBuffer(bytes: Uint8Array | ArrayBuffer): Buffer {
  try {
    if (ArrayBuffer.isView(bytes)) {
      return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    }
    if (isArrayBuffer(bytes)) return Buffer.from(bytes);
  } catch {
    // Detached: the buffer was transferred to another thread and has no bytes any more.
  }
  throw new DeviceKeyError(
    'invalid_params',
    'bytes: expected a Buffer, a Uint8Array or an ArrayBuffer that has not been transferred',
  );
}
