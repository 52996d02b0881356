/**
 * The shape of params: the checks of native/protocol/decode.cc, for `node-device-key/testing`,
 * which works without the addon.
 *
 * Each function reads the argument of a caller and returns the params as in JSON: only own members,
 * each read once. They throw `invalid_params`, or `invalid_payload` for a member of `payload`.
 */
import type {
  DeviceKeyCreateParams,
  DeviceKeyProtectionClass,
  DeviceKeyPublicParams,
  DeviceKeySignParams,
  DeviceKeySignPayload,
} from '../../types/v2';
import { DeviceKeyError } from '../errors';
import { ownMembers } from '../own';
import { base64UrlByteLength } from '../verify/base64';
import { isInt64, isObject, readJson } from './json-reader';
import { isPayloadType, PAYLOADS, type MemberKind, type PayloadType } from './payload-types';

/** The prefixes of key ids; 32 random bytes in base64url follow. */
export const KEY_ID_PREFIXES: Record<DeviceKeyProtectionClass, string> = {
  hardware_secure_enclave: 'dk_hse_',
  hardware_tpm: 'dk_tpm_',
  os_protected_nonextractable: 'dk_osn_',
};
const KEY_ID_RANDOM_BYTES = 32;

const PROTECTION_POLICIES: unknown[] = ['hardware_only', 'allow_os_protected_nonextractable'];

export type Members = Partial<Record<string, unknown>>;

export function decodeCreateParams(value: unknown): DeviceKeyCreateParams {
  const params = readParams(value);
  for (const name of ['accountUserId', 'clientId']) {
    requireKind(params, name, 'string', refuseParams);
  }
  requireProtectionPolicy(params);
  return params as unknown as DeviceKeyCreateParams;
}

export function decodePublicParams(value: unknown): DeviceKeyPublicParams {
  const params = readParams(value);
  requireKeyId(params);
  return params as unknown as DeviceKeyPublicParams;
}

export function decodeSignParams(value: unknown): DeviceKeySignParams {
  const params = readParams(value);
  requireKeyId(params);
  if (!isObject(params.payload)) refuseParams('payload', 'an object');
  return {
    keyId: params.keyId as string,
    payload: decodePayload(ownMembers(params.payload)),
  };
}

function decodePayload(payload: Members): DeviceKeySignPayload {
  const { type } = payload;
  if (!isPayloadType(type)) {
    const types = Object.keys(PAYLOADS) as PayloadType[];
    return refusePayload('type', types.map((name) => `"${name}"`).join(' or '));
  }
  const { audience, members } = PAYLOADS[type];
  if (payload.audience !== audience) refusePayload('audience', `"${audience}"`);
  for (const [name, kind] of Object.entries(members)) {
    requireKind(payload, name, kind, refusePayload);
  }
  return payload as unknown as DeviceKeySignPayload;
}

export function requireProtectionPolicy({ protectionPolicy = null }: Members): void {
  if (protectionPolicy !== null && !PROTECTION_POLICIES.includes(protectionPolicy)) {
    refuseParams(
      'protectionPolicy',
      '"hardware_only", "allow_os_protected_nonextractable" or null',
    );
  }
}

export function readParams(value: unknown): Members {
  const params = readJson(value, 'params');
  if (isObject(params)) return ownMembers(params);
  throw new DeviceKeyError('invalid_params', 'expected the params as a JSON object');
}

export function requireKeyId(params: Members): void {
  requireKind(params, 'keyId', 'string', refuseParams);
  const keyId = params.keyId as string;
  const prefix = Object.values(KEY_ID_PREFIXES).find((candidate) => keyId.startsWith(candidate));
  if (
    prefix === undefined ||
    base64UrlByteLength(keyId.slice(prefix.length)) !== KEY_ID_RANDOM_BYTES
  ) {
    refuseParams(
      'keyId',
      'a key id as returned by device/key/create: dk_hse_, dk_tpm_ or dk_osn_ and 43 characters of ' +
        'base64url',
    );
  }
}

type Refuse = (member: string, expected: string) => never;

export const refuseParams: Refuse = (member, expected) => {
  throw new DeviceKeyError('invalid_params', `${member}: expected ${expected}`);
};

export const refusePayload: Refuse = (member, expected) => {
  throw new DeviceKeyError('invalid_payload', `payload.${member}: expected ${expected}`);
};

export function requireKind(object: Members, name: string, kind: MemberKind, refuse: Refuse): void {
  const value = object[name];
  switch (kind) {
    case 'string':
      if (typeof value !== 'string') refuse(name, 'a string');
      return;
    case 'strings':
      if (!Array.isArray(value) || !value.every((item) => typeof item === 'string')) {
        refuse(name, 'an array of strings');
      }
      return;
    case 'seconds':
      if (!isInt64(value)) refuse(name, 'an integer of Unix seconds (int64)');
  }
}
