/**
 * A stand-in for `DeviceKeyStore` in the tests of programs that use one. **It protects nothing**:
 * its keys are software keys in this process's memory, and end with it. The main entry does not use
 * it.
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
  DeviceKeySignResponse,
} from '../types/v2';
import type { DpopKey, DpopKeyCreateParams, DpopProof, DpopSignParams } from './dpop/types';
import { DeviceKeyError } from './errors';
import { signalOf } from './operation-signal';
import { readOptions } from './own';
import {
  decodeCreateParams,
  decodePublicParams,
  decodeSignParams,
  KEY_ID_PREFIXES,
} from './protocol/decode';
import {
  checkCreateDpopKeyParams,
  checkDpopClaims,
  checkDpopOrigin,
  decodeCreateDpopKeyParams,
  decodeSignDpopParams,
  dpopSigningInput,
} from './protocol/dpop';
import {
  checkCreateParams,
  checkPayloadBinding,
  checkSignPayload,
  type Owner,
} from './protocol/rules';
import { signedBytes } from './protocol/signed-bytes';
import { decodeTargetPolicy } from './protocol/target-policy';
import type {
  DeviceKeyInfo,
  DeviceKeyStore,
  DeviceKeySupport,
  OperationOptions,
  TargetPolicy,
} from './store';
import { jwkOf, jwkThumbprint } from './verify/jwk';

export interface InMemoryDeviceKeyStoreOptions {
  targets?: TargetPolicy;
  /**
   * The protection that the store claims for its keys, which is not real. Default
   * `os_protected_nonextractable`, so that `create` needs the policy that allows it, as on a
   * machine without secure hardware; with a hardware class the store acts like a machine with
   * secure hardware.
   */
  protectionClass?: DeviceKeyProtectionClass;
}

/** All methods of a `DeviceKeyStore`, so that it can replace one. */
export type InMemoryDeviceKeyStore = Pick<
  DeviceKeyStore,
  | 'create'
  | 'createDpopKey'
  | 'public'
  | 'sign'
  | 'signDpop'
  | 'delete'
  | 'list'
  | 'support'
  | 'directory'
  | 'close'
  | typeof Symbol.asyncDispose
>;

/**
 * Makes an empty store whose methods accept, refuse and return the same as those of a
 * `DeviceKeyStore`. It needs no addon: lib/protocol has the rules, and a property test compares
 * them with the addon's. Errors of hardware and of the disk never occur.
 *
 * @throws DeviceKeyError `invalid_params` for a malformed option, as `DeviceKeyStore.open` does.
 */
export function createInMemoryDeviceKeyStore(
  options: InMemoryDeviceKeyStoreOptions = {},
): InMemoryDeviceKeyStore {
  return new MemoryStore(options);
}

interface MemoryKey {
  privateKey: KeyObject;
  info: DeviceKeyInfo;
}

class MemoryStore implements InMemoryDeviceKeyStore {
  /** The directory that a real store would use; nothing is ever written there. */
  readonly directory = path.join(tmpdir(), `no-device-keys-${randomUUID()}`);
  readonly #protectionClass: DeviceKeyProtectionClass;
  readonly #targets: Required<TargetPolicy>;
  readonly #keys = new Map<string, MemoryKey>();
  #closed = false;

  constructor(options: InMemoryDeviceKeyStoreOptions) {
    const { targets, protectionClass = 'os_protected_nonextractable' } = readOptions(options);
    if (typeof protectionClass !== 'string' || !Object.hasOwn(KEY_ID_PREFIXES, protectionClass)) {
      const expected = Object.keys(KEY_ID_PREFIXES).join(', ');
      throw new DeviceKeyError('invalid_params', `protectionClass: expected one of ${expected}`);
    }
    this.#protectionClass = protectionClass;
    this.#targets = decodeTargetPolicy(targets);
  }

  // The methods are async, so that errors are rejections, as with a DeviceKeyStore.
  /* eslint-disable @typescript-eslint/require-await */

  async create(
    params: DeviceKeyCreateParams,
    options?: OperationOptions,
  ): Promise<DeviceKeyCreateResponse> {
    requireNotAborted(options);
    this.#requireOpen();
    const { accountUserId, clientId, protectionPolicy } = decodeCreateParams(params);
    checkCreateParams({ accountUserId, clientId });
    const use = 'remote_control';
    return this.#make(protectionPolicy, { use, accountUserId, clientId, origins: null });
  }

  async createDpopKey(params: DpopKeyCreateParams, options?: OperationOptions): Promise<DpopKey> {
    requireNotAborted(options);
    this.#requireOpen();
    const { clientId, origins, protectionPolicy } = decodeCreateDpopKeyParams(params);
    checkCreateDpopKeyParams({ clientId, origins });
    const created = this.#make(protectionPolicy, {
      use: 'dpop',
      accountUserId: null,
      clientId,
      origins: [...new Set(origins)].sort(),
    });
    const jwk = jwkOf(created.publicKeySpkiDerBase64);
    return { ...created, jwk, jkt: jwkThumbprint(jwk) };
  }

  async public(params: DeviceKeyPublicParams): Promise<DeviceKeyPublicResponse> {
    const { keyId, publicKeySpkiDerBase64, algorithm, protectionClass } = this.#find(params).info;
    return { keyId, publicKeySpkiDerBase64, algorithm, protectionClass };
  }

  async sign(
    params: DeviceKeySignParams,
    options?: OperationOptions,
  ): Promise<DeviceKeySignResponse> {
    requireNotAborted(options);
    this.#requireOpen();
    const { keyId, payload } = decodeSignParams(params);
    checkSignPayload(payload, this.#targets, unixSeconds());
    const { privateKey, info } = this.#find({ keyId });
    if (info.use !== 'remote_control') {
      throw otherUse('a key for connection and enrollment payloads');
    }
    checkPayloadBinding(payload, info as typeof info & Owner);
    const bytes = signedBytes(payload);
    return {
      algorithm: 'ecdsa_p256_sha256',
      signatureDerBase64: sign('sha256', bytes, privateKey).toString('base64'),
      signedPayloadBase64: bytes.toString('base64'),
    };
  }

  async signDpop(params: DpopSignParams, options?: OperationOptions): Promise<DpopProof> {
    requireNotAborted(options);
    this.#requireOpen();
    const { keyId, claims } = decodeSignDpopParams(params);
    checkDpopClaims(claims);
    const { privateKey, info } = this.#find({ keyId });
    if (info.use !== 'dpop') throw otherUse('a key for DPoP proofs');
    checkDpopOrigin(claims.htu, info.origins ?? []);
    const input = dpopSigningInput(jwkOf(info.publicKeySpkiDerBase64), claims, unixSeconds());
    const key = { key: privateKey, dsaEncoding: 'ieee-p1363' } as const;
    return { proof: `${input}.${sign('sha256', Buffer.from(input), key).toString('base64url')}` };
  }

  async delete(params: DeviceKeyPublicParams): Promise<void> {
    this.#keys.delete(this.#find(params).info.keyId);
  }

  async list(): Promise<DeviceKeyInfo[]> {
    this.#requireOpen();
    const infos = Array.from(this.#keys.values(), ({ info }) => ({ ...info }));
    return infos.sort((a, b) => (a.keyId < b.keyId ? -1 : 1));
  }

  async support(): Promise<DeviceKeySupport> {
    this.#requireOpen();
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

  async close(): Promise<void> {
    this.#keys.clear();
    this.#closed = true;
  }

  /* eslint-enable @typescript-eslint/require-await */

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #make(
    protectionPolicy: DeviceKeyCreateParams['protectionPolicy'],
    binding: Pick<DeviceKeyInfo, 'use' | 'accountUserId' | 'clientId' | 'origins'>,
  ): DeviceKeyCreateResponse {
    const protectionClass = this.#protectionClass;
    const hardwareOnly = (protectionPolicy ?? 'hardware_only') === 'hardware_only';
    if (hardwareOnly && protectionClass === 'os_protected_nonextractable') {
      throw new DeviceKeyError(
        'degraded_protection_not_allowed',
        `only ${protectionClass} is available, which the policy hardware_only does not allow; this ` +
          'in-memory store acts like a machine with hardware if given another protectionClass',
      );
    }
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const created: DeviceKeyCreateResponse = {
      keyId: KEY_ID_PREFIXES[protectionClass] + randomBytes(32).toString('base64url'),
      publicKeySpkiDerBase64: publicKey.export({ format: 'der', type: 'spki' }).toString('base64'),
      algorithm: 'ecdsa_p256_sha256',
      protectionClass,
    };
    const info = { ...created, ...binding, createdAt: unixSeconds() };
    this.#keys.set(created.keyId, { privateKey, info });
    return created;
  }

  #requireOpen(): void {
    if (this.#closed) {
      throw new DeviceKeyError('closed', 'the key store is closed; open another');
    }
  }

  #find(params: DeviceKeyPublicParams): MemoryKey {
    this.#requireOpen();
    const { keyId } = decodePublicParams(params);
    const key = this.#keys.get(keyId);
    if (key) return key;
    throw new DeviceKeyError('key_not_found', `there is no key ${keyId} in this in-memory store`);
  }
}

function otherUse(expected: string): DeviceKeyError {
  return new DeviceKeyError('binding_mismatch', `keyId: expected ${expected}; a key has one use`);
}

function requireNotAborted(options: OperationOptions | undefined): void {
  const signal = signalOf(options);
  if (signal?.aborted) throw signal.canceled();
}

function unixSeconds(): number {
  return Math.floor(Date.now() / 1000);
}
