/**
 * A stand-in for `DeviceKeyStore` in the tests of programs that use one. **It protects nothing**: its
 * keys are software keys in this process's memory, and gone with it. The main entry does not lead here.
 *
 * @packageDocumentation
 */
import { generateKeyPairSync, randomBytes, randomUUID, sign, type KeyObject } from 'node:crypto';
import { tmpdir } from 'node:os';
import path from 'node:path';

import type {
  DeviceKeyCreateParams,
  DeviceKeyCreateResponse,
  DeviceKeyProtectionClass,
  DeviceKeyPublicParams,
  DeviceKeyPublicResponse,
  DeviceKeySignParams,
  DeviceKeySignPayload,
  DeviceKeySignResponse,
} from '../types/v2';
import { DeviceKeyError } from './errors';
import { loadNative, thrownToError } from './native';
import { signalOf } from './operation-signal';
import { ownMembers, readOptions, toJson } from './own';
import {
  DeviceKeyStore,
  type DeviceKeyInfo,
  type DeviceKeySupport,
  type OperationOptions,
  type TargetPolicy,
} from './store';

export interface InMemoryDeviceKeyStoreOptions {
  targets?: TargetPolicy;
  /**
   * What the store says protects its keys, which is not so. Default `os_protected_nonextractable`, so
   * that `create` needs the policy that allows it, as on a machine without secure hardware; a
   * hardware class plays a machine that has some.
   */
  protectionClass?: DeviceKeyProtectionClass;
}

/** All that a `DeviceKeyStore` can do, so that it can stand in for one. */
export type InMemoryDeviceKeyStore = Pick<
  DeviceKeyStore,
  | 'create'
  | 'public'
  | 'sign'
  | 'delete'
  | 'list'
  | 'support'
  | 'directory'
  | 'close'
  | typeof Symbol.asyncDispose
>;

/**
 * Makes an empty store whose methods take, refuse and answer what a `DeviceKeyStore`'s do: the rules
 * are the addon's own. Hardware's errors alone never come of it.
 *
 * @throws DeviceKeyError as `DeviceKeyStore.open` does.
 */
export function createInMemoryDeviceKeyStore(
  options: InMemoryDeviceKeyStoreOptions = {},
): InMemoryDeviceKeyStore {
  return new MemoryStore(options);
}

const PREFIXES: Record<DeviceKeyProtectionClass, string> = {
  hardware_secure_enclave: 'dk_hse_',
  hardware_tpm: 'dk_tpm_',
  os_protected_nonextractable: 'dk_osn_',
};

/** The members of each payload, in the order in which they are signed. */
const MEMBERS: Record<DeviceKeySignPayload['type'], string[]> = {
  remoteControlClientConnection: [
    ...['accountUserId', 'audience', 'clientId', 'nonce', 'scopes', 'sessionId', 'targetOrigin'],
    ...['targetPath', 'tokenExpiresAt', 'tokenSha256Base64url', 'type'],
  ],
  remoteControlClientEnrollment: [
    ...['accountUserId', 'audience', 'challengeExpiresAt', 'challengeId', 'clientId'],
    ...['deviceIdentitySha256Base64url', 'nonce', 'targetOrigin', 'targetPath', 'type'],
  ],
};

interface Key {
  privateKey: KeyObject;
  info: DeviceKeyInfo;
}

class MemoryStore implements InMemoryDeviceKeyStore {
  readonly #protectionClass: DeviceKeyProtectionClass;
  /** Where a real store would have its records; nothing is ever written there. */
  readonly directory = path.join(tmpdir(), `no-device-keys-${randomUUID()}`);
  /**
   * A real store that stays empty: its directory is never made. A request that passes all its checks
   * ends with `key_not_found` there; any other error is the answer here as well.
   */
  readonly #rules: DeviceKeyStore;
  readonly #keys = new Map<string, Key>();

  constructor(options: InMemoryDeviceKeyStoreOptions) {
    const { targets, protectionClass = 'os_protected_nonextractable' } = readOptions(options);
    if (!Object.hasOwn(PREFIXES, protectionClass)) {
      const expected = Object.keys(PREFIXES).join(', ');
      throw new DeviceKeyError('invalid_params', `protectionClass: expected one of ${expected}`);
    }
    this.#protectionClass = protectionClass;
    this.#rules = DeviceKeyStore.open({ directory: this.directory, ...(targets && { targets }) });
  }

  async create(
    params: DeviceKeyCreateParams,
    options?: OperationOptions,
  ): Promise<DeviceKeyCreateResponse> {
    const signal = signalOf(options);
    if (signal?.aborted) throw signal.canceled();
    await this.#rules.list(); // rejects when closed
    checkCreateParams(params);
    const { accountUserId, clientId, protectionPolicy } = ownMembers(
      params,
    ) as DeviceKeyCreateParams;
    const protectionClass = this.#protectionClass;
    const hardwareOnly = (protectionPolicy ?? 'hardware_only') === 'hardware_only';
    if (hardwareOnly && protectionClass === 'os_protected_nonextractable') {
      throw new DeviceKeyError(
        'degraded_protection_not_allowed',
        `only ${protectionClass} is available, which the policy hardware_only does not allow; this ` +
          'in-memory store plays a machine with hardware when given another protectionClass',
      );
    }
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const created: DeviceKeyCreateResponse = {
      keyId: PREFIXES[protectionClass] + randomBytes(32).toString('base64url'),
      publicKeySpkiDerBase64: publicKey.export({ format: 'der', type: 'spki' }).toString('base64'),
      algorithm: 'ecdsa_p256_sha256',
      protectionClass,
    };
    const createdAt = Math.floor(Date.now() / 1000);
    const info = { ...created, accountUserId, clientId, createdAt };
    this.#keys.set(created.keyId, { privateKey, info });
    return created;
  }

  async public(params: DeviceKeyPublicParams): Promise<DeviceKeyPublicResponse> {
    await passed(this.#rules.public(params));
    const { keyId, publicKeySpkiDerBase64, algorithm, protectionClass } = this.#find(params).info;
    return { keyId, publicKeySpkiDerBase64, algorithm, protectionClass };
  }

  async sign(
    params: DeviceKeySignParams,
    options?: OperationOptions,
  ): Promise<DeviceKeySignResponse> {
    await passed(this.#rules.sign(params, options));
    const { privateKey, info } = this.#find(params);
    for (const member of ['accountUserId', 'clientId'] as const) {
      if (params.payload[member] !== info[member]) {
        throw new DeviceKeyError(
          'binding_mismatch',
          `payload.${member}: expected the one that the key was enrolled for`,
        );
      }
    }
    const bytes = signedBytes(params.payload);
    return {
      algorithm: 'ecdsa_p256_sha256',
      signatureDerBase64: sign('sha256', bytes, privateKey).toString('base64'),
      signedPayloadBase64: bytes.toString('base64'),
    };
  }

  async delete(params: DeviceKeyPublicParams): Promise<void> {
    await passed(this.#rules.delete(params));
    this.#keys.delete(this.#find(params).info.keyId);
  }

  async list(): Promise<DeviceKeyInfo[]> {
    await this.#rules.list(); // rejects when closed
    const infos = Array.from(this.#keys.values(), ({ info }) => ({ ...info }));
    return infos.sort((a, b) => (a.keyId < b.keyId ? -1 : 1));
  }

  async support(): Promise<DeviceKeySupport> {
    await this.#rules.list(); // rejects when closed
    const available = { available: true, code: null, message: null };
    const protectionClass = this.#protectionClass;
    return {
      providers: [
        { provider: 'in-memory', protectionClass, asked: true, ...available, details: {} },
      ],
      protectionClass,
      hardware: protectionClass !== 'os_protected_nonextractable',
      store: { directory: this.directory, ...available },
    };
  }

  close(): Promise<void> {
    this.#keys.clear();
    return this.#rules.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #find({ keyId }: DeviceKeyPublicParams): Key {
    const key = this.#keys.get(keyId);
    if (key) return key;
    throw new DeviceKeyError('key_not_found', `there is no key ${keyId} in this in-memory store`);
  }
}

/** Waits for a request to the empty store to pass all of its checks. */
async function passed(request: Promise<unknown>): Promise<void> {
  try {
    await request;
  } catch (error) {
    if (!(error instanceof DeviceKeyError) || error.code !== 'key_not_found') throw error;
  }
}

/** As native/protocol/rules.cc does: the addon shows its check of the shape alone. */
function checkCreateParams(params: DeviceKeyCreateParams): void {
  try {
    loadNative().checkShape('create', toJson(params, 'params'));
  } catch (error) {
    throw thrownToError(error);
  }
  for (const member of ['accountUserId', 'clientId'] as const) {
    if (params[member] === '' || params[member].includes('\0')) {
      throw new DeviceKeyError(
        'invalid_params',
        `${member}: expected a string that is not empty and has no NUL`,
      );
    }
  }
}

function signedBytes(payload: DeviceKeySignPayload): Buffer {
  // A list of names has JSON.stringify write just those, in that order.
  const text = JSON.stringify(payload, MEMBERS[payload.type]);
  return Buffer.from(`{"domain":"codex-device-key-sign-payload/v1","payload":${text}}`);
}
