import type {
  DeviceKeyActivateAttestationParams,
  DeviceKeyActivateAttestationResponse,
  DeviceKeyAttestation,
  DeviceKeyAttestParams,
} from '../types/extensions';
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
import { DeviceKeyError, type DeviceKeyErrorCode } from './errors';
import {
  loadNative,
  thrownToError,
  toDeviceKeyError,
  type NativeError,
  type NativeStore,
} from './native';
import { signalOf } from './operation-signal';
import { readOptions, toJson } from './own';

/**
 * The permitted addressees of proofs, and their maximum lifetime. An absent member takes the
 * default. Can be set only in code, never through the environment.
 */
export interface TargetPolicy {
  /**
   * The hosts that are allowed with `https`: a name, or `*.` and a name for all its subdomains.
   * Without a port it allows any port; with one (`rc.example.com:8443`) only that port. Never write
   * 443. Default: `chatgpt.com`, `chatgpt-staging.com` and their subdomains.
   */
  httpsHosts?: readonly string[];
  /**
   * Whether `localhost`, 127.0.0.0/8 and `[::1]` are allowed, with http or https, on any port.
   * Default true.
   */
  allowLoopback?: boolean;
  /** Exact target paths of connection payloads. */
  connectionPaths?: readonly string[];
  /** Exact target paths of enrollment payloads. */
  enrollmentPaths?: readonly string[];
  /** How far ahead of this machine's clock a payload may expire, in seconds. Default 900. */
  maxLifetimeSeconds?: number;
}

/** A PKCS#11 token whose PIN is needed. */
export interface Pkcs11PinQuestion {
  /** An RFC 7512 URI that matches only this token. */
  uri: string;
  label: string;
  serial: string;
  manufacturer: string;
  model: string;
  /** Whether the token refused the last PIN. */
  lastPinWasWrong: boolean;
  /**
   * Whether another wrong PIN locks the token. Only with `allowFinalTry` is the PIN asked for then.
   */
  finalTry: boolean;
}

/** The PKCS#11 token for keys if there is no TPM and the policy allows the fallback. */
export interface Pkcs11Options {
  /**
   * The module: an absolute path, or a file name that the system's loader finds. Default:
   * `module-path` of `token`, `DEVICE_KEY_PKCS11_MODULE`, else p11-kit's proxy, which offers all
   * modules that are registered with the system. Loaded only when it is needed.
   */
  module?: string;
  /**
   * The token for new keys: its label, its serial number or an RFC 7512 `pkcs11:` URI. Default:
   * `DEVICE_KEY_PKCS11_TOKEN`, else the only one that can hold device keys.
   */
  token?: string;
  /**
   * The user's PIN, or a function that asks for it: called when the token requires it, once for all waiting
   * operations, and again only after the token was removed or the program restarted; not called for a token
   * with a PIN pad. A wrong PIN is never tried twice. Default: `pin-source` or `pin-value` of `token`,
   * `DEVICE_KEY_PKCS11_PIN`, else the token's own PIN pad.
   */
  pin?: string | ((question: Pkcs11PinQuestion) => string | Promise<string>);
  /** A regular file with the PIN, read each time the token requires it. */
  pinFile?: string;
  /** Whether to try a PIN when a wrong one would lock the token. Default false. */
  allowFinalTry?: boolean;
}

export interface DeviceKeyStoreOptions {
  /**
   * The directory of the key records. Default: `DEVICE_KEY_HOME`, else `$XDG_DATA_HOME/device-keys`
   * (`~/.local/share/device-keys`), on Windows `%LOCALAPPDATA%\device-keys`, on macOS
   * `~/Library/Application Support/device-keys`. Creating the first key creates the directory, for
   * this user only.
   */
  directory?: string;
  /**
   * The TPM: `device:<node>` or `swtpm:<configuration>`, as in TCTI strings of tpm2-tss. Default:
   * `DEVICE_KEY_TCTI`, else `device:/dev/tpmrm0`, the kernel's resource manager. Others are refused
   * with `invalid_params`.
   */
  tcti?: string;
  /**
   * Whether a TPM simulator (`swtpm:`) may be used as hardware. It protects nothing: use it only
   * for tests and demonstrations. Default: whether `DEVICE_KEY_ALLOW_SIMULATOR` is `1`.
   */
  allowSimulator?: boolean;
  /**
   * Whether environment variables replace absent options. With `false` this store reads none:
   * `DEVICE_KEY_TCTI`, `DEVICE_KEY_ALLOW_SIMULATOR`, `DEVICE_KEY_HOME` and `DEVICE_KEY_PKCS11_*` have no
   * effect. The default directory then does not depend on `HOME` and `XDG_DATA_HOME` but is below the home
   * directory of the user database (on Windows, set `directory`). An option given in code always takes
   * precedence over its variable. Default true.
   */
  environment?: boolean;
  pkcs11?: Pkcs11Options;
  /**
   * Whether the user must confirm each use of a key that this store makes, with Touch ID or the login
   * password. Only on macOS; it has no effect elsewhere. With `reuseSeconds` (1 to 3,600) one
   * confirmation is valid for that long, in this store only. Default false.
   */
  userPresence?: boolean | { reuseSeconds: number };
  targets?: TargetPolicy;
  /**
   * The time limit of an operation in milliseconds, counted from the call: it includes the wait for
   * operations that were started before. An operation that is still waiting then rejects with
   * `device_timeout` and never uses the hardware. Default 30,000.
   */
  timeoutMs?: number;
  /** How many operations may wait for their turn before `queue_full`. Default 4,096. */
  queueLimit?: number;
}

export interface SupportOptions {
  /** Whether to ask every provider, needed or not. Default false. */
  all?: boolean;
}

export interface OperationOptions {
  /**
   * Aborting it rejects the operation with `canceled`. A waiting operation never uses the
   * hardware. The result of a running one is discarded, and a key that was being created is deleted.
   */
  signal?: AbortSignal;
}

/** A key of the store, as `list` shows it. */
export interface DeviceKeyInfo extends DeviceKeyPublicResponse {
  /** What the key signs: only the payloads of `sign`, or only the proofs of `signDpop`. */
  use: 'remote_control' | 'dpop';
  /**
   * Null for a DPoP key, and for a key of `node-device-key/remote-control` that has not been enrolled
   * yet.
   */
  accountUserId: string | null;
  clientId: string | null;
  /** The permitted origins of a DPoP key's proofs; null for other keys. */
  origins: string[] | null;
  /** Unix seconds. */
  createdAt: number;
}

/** A record that cannot be read. The store does not change it. */
export interface DeviceKeyUnreadable {
  keyId: string;
  error: { code: DeviceKeyErrorCode; message: string };
}

/** The state of one provider on this machine. */
export interface DeviceKeyProviderSupport {
  provider: string;
  protectionClass: DeviceKeyProtectionClass;
  /** Whether the provider was asked; see {@link DeviceKeyStore.support}. */
  asked: boolean;
  /** Whether it can make keys; false if it was not asked. */
  available: boolean;
  /** Why not; null if it is available or was not asked. */
  code: DeviceKeyErrorCode | null;
  /** The missing part and how to get it; null if it is available. */
  message: string | null;
  /** Facts about the hardware, for people: manufacturer, firmware, lockout state and so on. */
  details: Record<string, unknown>;
}

export interface DeviceKeySupport {
  /** In the order in which `create` tries them. */
  providers: DeviceKeyProviderSupport[];
  /** The protection of a new key under the most lenient policy; null if no key can be made. */
  protectionClass: DeviceKeyProtectionClass | null;
  /** Whether `protectionClass` is hardware, so that `create` succeeds under `hardware_only`. */
  hardware: boolean;
  store: {
    directory: string;
    available: boolean;
    code: DeviceKeyErrorCode | null;
    message: string | null;
  };
}

/** The outcome of a native request: the JSON text of its result, or an error. */
type Outcome = string | NativeError;

/** The callback for the outcome of each started native request, by its number. */
type Requests = Map<number, (outcome: Outcome) => void>;

interface Pending {
  /** Restarts the operation. */
  start(): number;
  resolve(result: unknown): void;
  reject(error: unknown): void;
  /** Its number; undefined while it waits for a PIN. */
  request?: number | undefined;
  /** Stops listening to the operation's signal. */
  release?: (() => void) | undefined;
  over?: boolean;
  /** How often it has waited for a PIN. */
  pinRounds?: number;
}

/**
 * Device keys in this machine's secure hardware, with their records in one directory.
 *
 * Operations run on the store's own threads, one after the other, and never block the event loop or libuv's
 * pool. Outstanding operations keep the process alive; an open store does not. Every method rejects with a
 * {@link DeviceKeyError}. Worker threads may use stores, each its own; the hardware is shared.
 */
export class DeviceKeyStore {
  /** The directory of the key records: absolute. It need not exist yet. */
  readonly directory: string;
  readonly #native: NativeStore;
  readonly #requests: Requests = new Map();
  readonly #askPin: AskPin | undefined;
  /** Set while a question for a PIN is open. */
  #pin: Promise<void> | undefined;
  readonly #waitingForPin = new Set<Pending>();
  #closing: Promise<void> | undefined;

  private constructor(options: DeviceKeyStoreOptions) {
    const { NativeStore } = loadNative();
    let askPin: AskPin | undefined;
    // Tell the native store only that it can ask for a PIN: JSON has no functions, and a JSON text with a
    // PIN would be another copy of it in memory.
    const json = toJson(options, 'options', (name, value) => {
      if (name !== 'pin') return value;
      if (isText(value)) {
        askPin = () => value;
        return { given: true };
      }
      if (typeof value !== 'function') return value;
      askPin = value as AskPin;
      return { ask: true };
    });
    this.#askPin = askPin;
    try {
      this.#native = new NativeStore(json, settlerOf(this.#requests));
      this.directory = this.#native.directory();
    } catch (error) {
      throw thrownToError(error);
    }
    abandonAtExit(this.#native);
    droppedStores.register(this, { native: this.#native, requests: this.#requests }, this);
  }

  /**
   * Opens a store. Does not access the disk or hardware; operations reject with their errors.
   *
   * @throws DeviceKeyError `invalid_params` for an option that is unknown or malformed,
   *   `platform_error` when there is no build of the addon for this platform.
   */
  static open(options: DeviceKeyStoreOptions = {}): DeviceKeyStore {
    return new DeviceKeyStore(options);
  }

  /**
   * Makes a new ECDSA P-256 key that cannot leave the hardware, permanently bound to an account and
   * a client, and records it. Under the policy `hardware_only` (the default) it rejects with the reason
   * why hardware cannot be used. `allow_os_protected_nonextractable` permits a weaker protection when
   * the reason is lasting, never when the hardware is only busy.
   *
   * Rejects with `invalid_params`, `hardware_unavailable`, `permission_denied`, `library_missing`,
   * `degraded_protection_not_allowed`, `device_busy`, `device_timeout`, `tpm_lockout`,
   * `tpm_owner_auth_required`, `store_insecure`, `store_unwritable`, `queue_full`, `canceled`,
   * `closed`, `platform_error` or `crypto_error`; then no key is left behind.
   */
  create(
    params: DeviceKeyCreateParams,
    options?: OperationOptions,
  ): Promise<DeviceKeyCreateResponse> {
    return this.#request(() => this.#native.create(toJson(params, 'params')), options);
  }

  /**
   * As `create`, but the key gets its account and client from the first enrollment payload that it
   * signs.
   *
   * @internal
   */
  createUnbound(
    params: Pick<DeviceKeyCreateParams, 'protectionPolicy'>,
  ): Promise<DeviceKeyCreateResponse> {
    return this.#request(() => this.#native.createUnbound(toJson(params, 'params')));
  }

  /**
   * As `create`, but the key signs only DPoP proofs (RFC 9449), for one OAuth client and for
   * requests to these origins. Client and origins cannot be changed later.
   *
   * Rejects as `create` does.
   */
  createDpopKey(params: DpopKeyCreateParams, options?: OperationOptions): Promise<DpopKey> {
    return this.#request(() => this.#native.createDpopKey(toJson(params, 'params')), options);
  }

  /** The public key, from the record only. Rejects with `key_not_found` or `store_corrupt`. */
  public(params: DeviceKeyPublicParams): Promise<DeviceKeyPublicResponse> {
    return this.#request(() => this.#native.public(toJson(params, 'params')));
  }

  /**
   * Signs one of the two payloads, after checking every rule about it: there is no way to sign
   * arbitrary bytes. Send `signedPayloadBase64` with the signature: it contains the exact signed
   * bytes. A verifier must verify these bytes and must not build them again. The store verifies the
   * signature before it returns it.
   *
   * A key that `node-device-key/remote-control` made has no account and client yet: the first
   * enrollment payload that it signs, here or there, gives it both, permanently. A key that
   * `createDpopKey` made is refused with `binding_mismatch`.
   *
   * Rejects with `invalid_params`, `invalid_payload`, `binding_mismatch`, `key_not_found`,
   * `key_lost`, `store_corrupt`, and the hardware's errors as `create` does.
   */
  sign(params: DeviceKeySignParams, options?: OperationOptions): Promise<DeviceKeySignResponse> {
    return this.#request(() => this.#native.sign(toJson(params, 'params')), options);
  }

  /**
   * Makes a DPoP proof (RFC 9449) for one request. Its `iat` is the time of the signature, after the
   * wait for operations that were started before.
   *
   * Rejects with `invalid_params` naming the member, with `binding_mismatch` for an `htu` that is not
   * on one of the key's origins and for a key that `createDpopKey` did not make, and as `sign` does.
   */
  signDpop(params: DpopSignParams, options?: OperationOptions): Promise<DpopProof> {
    return this.#request(() => this.#native.signDpop(toJson(params, 'params')), options);
  }

  /**
   * As `sign`, for a caller that forms the signed bytes itself; they must be in canonical form.
   *
   * @internal
   */
  signBytes(params: {
    keyId: string;
    signedPayloadBase64: string;
  }): Promise<DeviceKeySignResponse> {
    return this.#request(() => this.#native.signBytes(toJson(params, 'params')));
  }

  /**
   * Deletes a key from this machine. Rejects with `key_not_found` if there is no such key.
   *
   * This does not revoke the key: a copy of a TPM key's record signs again when it is restored on the
   * same machine. Remove the public key at the backend.
   */
  async delete(params: DeviceKeyPublicParams): Promise<void> {
    await this.#request(() => this.#native.delete(toJson(params, 'params')));
  }

  /**
   * The TPM certifies, with a backend's challenge, that the key is in it; for
   * `TpmAttestationExchange` of `node-device-key/verify`. The result contains the TPM's endorsement
   * keys, **which identify this machine**: call it only for a backend that the user trusts with
   * that. The first call makes the key that signs attestations. On a real TPM it can take some
   * seconds.
   *
   * Rejects with `attestation_unsupported` for keys that are not in a TPM on Linux, with `invalid_params`,
   * `key_not_found`, `tpm_owner_auth_required`, and the hardware's errors as `sign` does.
   */
  attest(params: DeviceKeyAttestParams, options?: OperationOptions): Promise<DeviceKeyAttestation> {
    return this.#request(() => this.#native.attest(toJson(params, 'params')), options);
  }

  /**
   * Decrypts the backend's credential: this shows that the key that signed the attestation is in
   * the TPM of the endorsement key. Rejects as `attest` does, and with `invalid_params` if the
   * credential is for another TPM or another attestation key.
   */
  activateAttestation(
    params: DeviceKeyActivateAttestationParams,
    options?: OperationOptions,
  ): Promise<DeviceKeyActivateAttestationResponse> {
    return this.#request(() => this.#native.activateAttestation(toJson(params, 'params')), options);
  }

  /**
   * All keys, in the order of their ids, and records that cannot be read. Does not use hardware.
   */
  list(): Promise<(DeviceKeyInfo | DeviceKeyUnreadable)[]> {
    return this.#request(() => this.#native.list());
  }

  /**
   * Asks the hardware how this machine can protect keys. PKCS#11 modules, which may write messages
   * and files, are loaded only if `pkcs11` or its environment variables are set, if nothing else
   * can protect keys, or with `all`; otherwise their entry has `asked: false`.
   */
  support(options?: SupportOptions): Promise<DeviceKeySupport> {
    return this.#request(() => this.#native.support(asksAll(options)));
  }

  /**
   * Closes the store: waiting operations reject with `closed`; the running operation ends normally.
   * Resolves when the store's threads have ended and the hardware is released. Calling it again
   * returns the same promise.
   *
   * A store that was not closed is closed when it is garbage collected, at an unknown time.
   */
  close(): Promise<void> {
    if (!this.#closing) {
      droppedStores.unregister(this);
      this.#closing = closeNative(this.#native, this.#requests);
      // The question for a PIN may never be answered.
      const closed = new DeviceKeyError('closed', 'the key store is closed; open another');
      for (const pending of this.#waitingForPin) this.#fail(pending, closed);
    }
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #request<Result>(start: () => number, options?: OperationOptions): Promise<Result> {
    return new Promise((resolve, reject) => {
      const pending: Pending = { start, resolve, reject };
      try {
        const signal = signalOf(options);
        if (signal?.aborted) throw signal.canceled();
        // Listen before the operation starts, so that no abort is missed.
        pending.release = signal?.listen(() => {
          // An operation without a request is waiting for a PIN.
          if (pending.request !== undefined && !this.#native.cancel(pending.request)) return;
          this.#fail(pending, signal.canceled());
        });
      } catch (error) {
        reject(thrownToError(error));
        return;
      }
      if (!pending.over) this.#start(pending);
    });
  }

  #start(pending: Pending): void {
    try {
      pending.request = pending.start();
      this.#requests.set(pending.request, (outcome) => {
        this.#settle(pending, outcome);
      });
    } catch (error) {
      this.#fail(pending, thrownToError(error));
    }
  }

  #end(pending: Pending): void {
    if (pending.request !== undefined) this.#requests.delete(pending.request);
    this.#waitingForPin.delete(pending);
    pending.release?.();
    pending.over = true;
  }

  #fail(pending: Pending, error: unknown): void {
    this.#end(pending);
    pending.reject(error);
  }

  #settle(pending: Pending, outcome: Outcome): void {
    if (typeof outcome === 'string') {
      this.#end(pending);
      pending.resolve(JSON.parse(outcome));
    } else if (outcome.code === 'pin_required' && this.#askPin && !this.#closing) {
      pending.request = undefined;
      void this.#startWithPin(pending, outcome);
    } else {
      this.#fail(pending, toDeviceKeyError(outcome));
    }
  }

  /** Asks for the PIN, once for all operations that wait for it, and restarts them. */
  async #startWithPin(pending: Pending, error: NativeError): Promise<void> {
    this.#waitingForPin.add(pending);
    try {
      // A wrong PIN ends an operation. This limit is for a token that requires a login again and again.
      pending.pinRounds = (pending.pinRounds ?? 0) + 1;
      if (pending.pinRounds > maxPinRounds) throw toDeviceKeyError(error);
      await (this.#pin ??= this.#answerPinQuestion(error).finally(() => (this.#pin = undefined)));
      if (this.#waitingForPin.delete(pending)) this.#start(pending);
    } catch (cause) {
      if (!pending.over) this.#fail(pending, cause);
    }
  }

  async #answerPinQuestion(error: NativeError): Promise<void> {
    const question = JSON.parse(this.#native.takePinQuestion()) as Pkcs11PinQuestion | null;
    // Another operation may have answered the question in the meantime.
    if (!question || !this.#askPin) return;
    let pin: unknown;
    try {
      pin = await this.#askPin(question);
    } catch (cause) {
      throw new DeviceKeyError('user_canceled', `${error.message}; the pin function failed`, {
        cause,
      });
    }
    if (!isText(pin)) {
      throw new DeviceKeyError('user_canceled', `${error.message}; no PIN was given when asked`);
    }
    // Without a waiting operation the PIN would stay in memory.
    if (this.#waitingForPin.size > 0) this.#native.answerPin(pin);
  }
}

/** How often one operation may be started again because it needs a PIN. */
const maxPinRounds = 10;

/** Whether a PIN can be passed to a token: not empty, and without lone surrogates. */
function isText(pin: unknown): pin is string {
  return typeof pin === 'string' && pin !== '' && !/\p{Surrogate}/u.test(pin);
}

type AskPin = Exclude<Pkcs11Options['pin'], string | undefined>;

function asksAll(options: SupportOptions | undefined): boolean {
  const { all = false } = readOptions(options);
  if (typeof all !== 'boolean') {
    throw new DeviceKeyError('invalid_params', 'options.all: expected a boolean');
  }
  return all;
}

/**
 * The native stores that are open. Node-API's own clean-up does not run at `process.exit()`, and a
 * TPM without a resource manager would keep our keys in its three slots.
 */
const openStores = new Set<NativeStore>();

function abandonAtExit(store: NativeStore): void {
  if (openStores.size === 0) process.on('exit', abandonOpenStores);
  openStores.add(store);
}

function abandonOpenStores(): void {
  for (const store of openStores) store.abandon();
}

/** Nothing here may refer to the DeviceKeyStore, because then it would never be collected. */
const droppedStores = new FinalizationRegistry<{ native: NativeStore; requests: Requests }>(
  ({ native, requests }) => void closeNative(native, requests),
);

/** Resolves when the threads have ended; the native store then has released everything. */
async function closeNative(native: NativeStore, requests: Requests): Promise<void> {
  const request = native.close();
  await new Promise<unknown>((resolve) => requests.set(request, resolve));
  native.abandon();
  openStores.delete(native);
  if (openStores.size === 0) process.off('exit', abandonOpenStores);
}

/**
 * Separate from the constructor, so that the native store's callback does not refer to the store.
 */
function settlerOf(requests: Requests): (request: number, outcome: Outcome) => void {
  return (request, outcome) => {
    const settle = requests.get(request);
    requests.delete(request);
    settle?.(outcome);
  };
}
