/**
 * Hardware-bound device keys for Node.js and Electron: the functions of the `device/key` protocol,
 * on one default store, and {@link DeviceKeyStore} for everything else.
 *
 * @packageDocumentation
 */
import type {
  DeviceKeyActivateAttestationParams,
  DeviceKeyActivateAttestationResponse,
  DeviceKeyAttestation,
  DeviceKeyAttestParams,
} from '../types/extensions';
import type {
  DeviceKeyCreateParams,
  DeviceKeyCreateResponse,
  DeviceKeyPublicParams,
  DeviceKeyPublicResponse,
  DeviceKeySignParams,
  DeviceKeySignResponse,
} from '../types/v2';
import {
  DeviceKeyStore,
  type DeviceKeyInfo,
  type DeviceKeySupport,
  type DeviceKeyUnreadable,
  type OperationOptions,
  type SupportOptions,
} from './store';

export type * from '../types/extensions';
export type * from '../types/v2';
export type * from './dpop/types';
export { deviceIdentitySha256 } from './verify/device-identity';
export { DeviceKeyError, type DeviceKeyErrorCode } from './errors';
export {
  DeviceKeyStore,
  type DeviceKeyInfo,
  type DeviceKeyProviderSupport,
  type DeviceKeyStoreOptions,
  type DeviceKeySupport,
  type DeviceKeyUnreadable,
  type OperationOptions,
  type SupportOptions,
  type Pkcs11Options,
  type Pkcs11PinQuestion,
  type TargetPolicy,
} from './store';

let opened: DeviceKeyStore | undefined;

/** Opened on first use with the default options. It does not keep the process alive. */
function defaultStore(): DeviceKeyStore {
  return (opened ??= DeviceKeyStore.open());
}

/** {@link DeviceKeyStore.create} on the default store (`device/key/create`). */
export async function createDeviceKey(
  params: DeviceKeyCreateParams,
  options?: OperationOptions,
): Promise<DeviceKeyCreateResponse> {
  return defaultStore().create(params, options);
}

/** {@link DeviceKeyStore.public} on the default store (`device/key/public`). */
export async function getDeviceKeyPublic(
  params: DeviceKeyPublicParams,
): Promise<DeviceKeyPublicResponse> {
  return defaultStore().public(params);
}

/** {@link DeviceKeyStore.sign} on the default store (`device/key/sign`). */
export async function signDeviceKey(
  params: DeviceKeySignParams,
  options?: OperationOptions,
): Promise<DeviceKeySignResponse> {
  return defaultStore().sign(params, options);
}

/** {@link DeviceKeyStore.delete} on the default store. */
export async function deleteDeviceKey(params: DeviceKeyPublicParams): Promise<void> {
  return defaultStore().delete(params);
}

/** {@link DeviceKeyStore.attest} on the default store. */
export async function attestDeviceKey(
  params: DeviceKeyAttestParams,
  options?: OperationOptions,
): Promise<DeviceKeyAttestation> {
  return defaultStore().attest(params, options);
}

/** {@link DeviceKeyStore.activateAttestation} on the default store. */
export async function activateDeviceKeyAttestation(
  params: DeviceKeyActivateAttestationParams,
  options?: OperationOptions,
): Promise<DeviceKeyActivateAttestationResponse> {
  return defaultStore().activateAttestation(params, options);
}

/** {@link DeviceKeyStore.list} on the default store. */
export async function listDeviceKeys(): Promise<(DeviceKeyInfo | DeviceKeyUnreadable)[]> {
  return defaultStore().list();
}

/** {@link DeviceKeyStore.support} on the default store. */
export async function probeDeviceKeySupport(options?: SupportOptions): Promise<DeviceKeySupport> {
  return defaultStore().support(options);
}

/**
 * Closes the default store, if one is open; the next call of a function here opens another. Programs
 * need not call it; test runners that look for open handles find none after it.
 */
export async function closeDefaultStore(): Promise<void> {
  const store = opened;
  opened = undefined;
  await store?.close();
}
