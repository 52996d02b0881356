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
 * Where proofs may be addressed to, and for how long. What is absent takes the default. Can be set
 * in code alone, never through the environment.
 */
export interface TargetPolicy {
  /**
   * Hosts that may be reached over `https`: a name, or `*.` and a name for all its subdomains. Without
   * a port it allows any port; with one (`rc.example.com:8443`) that port alone. 443 is never written.
   * Default: `chatgpt.com`, `chatgpt-staging.com` and their subdomains.
   */
  httpsHosts?: readonly string[];
  /** Whether `localhost`, 127.0.0.0/8 and `[::1]` may be reached, http or https, on any port. Default true. */
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
  /** An RFC 7512 URI that names this token alone. */
  uri: string;
  label: string;
  serial: string;
  manufacturer: string;
  model: string;
  /** Whether the last PIN that the token was given was wrong. */
  lastPinWasWrong: boolean;
  /** Whether another wrong one locks the token. Asked for only with `allowFinalTry`. */
  finalTry: boolean;
}

/** Which PKCS#11 token holds the keys where there is no TPM and the policy allows that. */
export interface Pkcs11Options {
  /**
   * The module: an absolute path, or a file name that the system's loader finds. Default:
   * `module-path` of `token`, `DEVICE_KEY_PKCS11_MODULE`, else p11-kit's proxy, which offers all
   * modules that are registered with the system. Not loaded before it is needed.
   */
  module?: string;
  /**
   * The token for new keys: its label, its serial number or an RFC 7512 `pkcs11:` URI. Default:
   * `DEVICE_KEY_PKCS11_TOKEN`, else the only one that can hold device keys.
   */
  token?: string;
  /**
   * The user's PIN, or a function that asks for it: called when the token wants it, once for all
   * operations that wait, and again only after the token was taken out or the program restarted; not
   * called for a token with a PIN pad. A wrong PIN is never tried twice. Default: `pin-source` or `pin-value` of `token`,
   * `DEVICE_KEY_PKCS11_PIN`, else the token's own PIN pad.
   */
  pin?: string | ((question: Pkcs11PinQuestion) => string | Promise<string>);
  /** A regular file with the PIN, read whenever the token wants it. */
  pinFile?: string;
  /** Whether to try a PIN when a wrong one would lock the token. Default false. */
  allowFinalTry?: boolean;
}

export interface DeviceKeyStoreOptions {
  /**
   * Where key records are kept. Default: `DEVICE_KEY_HOME`, else `$XDG_DATA_HOME/device-keys`
   * (`~/.local/share/device-keys`), on Windows `%LOCALAPPDATA%\device-keys`, on macOS
   * `~/Library/Application Support/device-keys`. Made, for this user alone, when the first key is created.
   */
  directory?: string;
  /**
   * The TPM: `device:<node>` or `swtpm:<configuration>`, as in TCTI strings of tpm2-tss. Default:
   * `DEVICE_KEY_TCTI`, else `device:/dev/tpmrm0`, the kernel's resource manager. Others are refused
   * with `invalid_params`.
   */
  tcti?: string;
  /**
   * Whether a TPM simulator (`swtpm:`) may stand in for hardware. It protects nothing; for
   * tests and demonstrations. Default: whether `DEVICE_KEY_ALLOW_SIMULATOR` is `1`.
   */
  allowSimulator?: boolean;
  /**
   * Whether environment variables may stand in for options that are absent. With `false` none is read
   * for this store: `DEVICE_KEY_TCTI`, `DEVICE_KEY_ALLOW_SIMULATOR`, `DEVICE_KEY_HOME` and
   * `DEVICE_KEY_PKCS11_*` have no effect, nor have `HOME` and `XDG_DATA_HOME` on the default
   * directory, which is then below the home directory of the user database (on Windows, name
   * `directory`). An option given in code wins over its variable in any case. Default true.
   */
  environment?: boolean;
  pkcs11?: Pkcs11Options;
  /**
   * Whether each use of a key that this store makes has to be confirmed with Touch ID or the login
   * password; on macOS alone, elsewhere it has no effect. With `reuseSeconds` (1 to 3,600) one
   * confirmation holds for that long, in this store alone. Default false.
   */
  userPresence?: boolean | { reuseSeconds: number };
  targets?: TargetPolicy;
  /**
   * How long one operation may take, in milliseconds, counted from the call: it includes the wait for
   * operations that were started before. One that still waits at the end rejects with `device_timeout`
   * and never touches the hardware. Default 30,000.
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
   * Aborting it rejects the operation with `canceled`. One that waits never touches the hardware; of
   * one that runs the result is thrown away, and a key that was being created is deleted again.
   */
  signal?: AbortSignal;
}

/** A key of the store, as `list` shows it. */
export interface DeviceKeyInfo extends DeviceKeyPublicResponse {
  /** Null for a key of `node-device-key/remote-control` that has not been enrolled yet. */
  accountUserId: string | null;
  clientId: string | null;
  /** Unix seconds. */
  createdAt: number;
}

/** A record that cannot be read; it has been left as it is. */
export interface DeviceKeyUnreadable {
  keyId: string;
  error: { code: DeviceKeyErrorCode; message: string };
}

/** What one kind of hardware can do on this machine. */
export interface DeviceKeyProviderSupport {
  provider: string;
  protectionClass: DeviceKeyProtectionClass;
  /** Whether it was asked; see {@link DeviceKeyStore.support}. */
  asked: boolean;
  /** Whether it can make keys; false when it was not asked. */
  available: boolean;
  /** Why not; null when available or not asked. */
  code: DeviceKeyErrorCode | null;
  /** What is missing and how to get it; null when available. */
  message: string | null;
  /** Facts about the hardware, for people: manufacturer, firmware, lockout state and the like. */
  details: Record<string, unknown>;
}

export interface DeviceKeySupport {
  /** In the order in which `create` tries them. */
  providers: DeviceKeyProviderSupport[];
  /** What a new key would be protected by under the most lenient policy; null when by nothing. */
  protectionClass: DeviceKeyProtectionClass | null;
  /** Whether that is hardware: whether `create` succeeds under `hardware_only`. */
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

/** What to call with the outcome of each native request that has started, by its number. */
type Requests = Map<number, (outcome: Outcome) => void>;

interface Pending {
  /** Starts the operation again. */
  start(): number;
  resolve(result: unknown): void;
  reject(error: unknown): void;
  /** Its number; none while it waits for a PIN. */
  request?: number | undefined;
  /** Stops listening to the operation's signal. */
  release?: (() => void) | undefined;
  over?: boolean;
  /** How often it had to wait for a PIN. */
  pinRounds?: number;
}

/**
 * Device keys in this machine's secure hardware, with their records in one directory.
 *
 * Operations run on threads of the store's own, one after the other; nothing here blocks the event
 * loop or libuv's pool. A process waits for operations that are outstanding and does not wait for an
 * open store. Every method rejects with a {@link DeviceKeyError}. May be used in worker threads, each
 * with a store of its own; the hardware is shared.
 */
export class DeviceKeyStore {
  /** The directory of the key records: absolute. It need not exist yet. */
  readonly directory: string;
  readonly #native: NativeStore;
  readonly #requests: Requests = new Map();
  readonly #askPin: AskPin | undefined;
  /** Set while somebody is asked for a PIN. */
  #pin: Promise<void> | undefined;
  readonly #waitingForPin = new Set<Pending>();
  #closing: Promise<void> | undefined;

  private constructor(options: DeviceKeyStoreOptions) {
    const { NativeStore } = loadNative();
    let askPin: AskPin | undefined;
    // JSON has no functions, and each JSON text with a PIN would be one more copy of it in memory:
    // the native store only gets to know that it can ask for the PIN.
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
   * Opens a store. Touches neither disk nor hardware; what is wrong with those is what operations
   * reject with.
   *
   * @throws DeviceKeyError `invalid_params` for an option that is unknown or malformed,
   *   `platform_error` when there is no build of the addon for this platform.
   */
  static open(options: DeviceKeyStoreOptions = {}): DeviceKeyStore {
    return new DeviceKeyStore(options);
  }

  /**
   * Makes a new ECDSA P-256 key that cannot leave the hardware, bound for good to an account and a
   * client, and records it. Under the policy `hardware_only` (the default) it rejects with what
   * keeps hardware from being used; `allow_os_protected_nonextractable` permits a weaker protection
   * when the hardware is missing for good, never when it is merely busy.
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

  /** The public key, from the record alone. Rejects with `key_not_found` or `store_corrupt`. */
  public(params: DeviceKeyPublicParams): Promise<DeviceKeyPublicResponse> {
    return this.#request(() => this.#native.public(toJson(params, 'params')));
  }

  /**
   * Signs one of the two payloads, after checking every rule about it: there is no way to sign
   * arbitrary bytes. Send `signedPayloadBase64` along with the signature: it holds the exact bytes
   * that were signed, which a verifier must verify and must not write anew. The signature has been
   * verified before it is returned.
   *
   * A key that `node-device-key/remote-control` made has no account and client yet: the first
   * enrollment payload that it signs, here or there, gives it both for good.
   *
   * Rejects with `invalid_params`, `invalid_payload`, `binding_mismatch`, `key_not_found`,
   * `key_lost`, `store_corrupt`, and the hardware's errors as `create` does.
   */
  sign(params: DeviceKeySignParams, options?: OperationOptions): Promise<DeviceKeySignResponse> {
    return this.#request(() => this.#native.sign(toJson(params, 'params')), options);
  }

  /**
   * As `sign`, for a caller that has formed the signed bytes itself: they must be in canonical form.
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
   * Deletes a key from this machine. Rejects with `key_not_found` when there is no such key.
   *
   * This does not revoke the key: a copy of a TPM key's record signs again when it is put back on the
   * same machine. Remove the public key at the backend.
   */
  async delete(params: DeviceKeyPublicParams): Promise<void> {
    await this.#request(() => this.#native.delete(toJson(params, 'params')));
  }

  /**
   * Has the TPM certify, with a backend's challenge, that the key is in it, for
   * `TpmAttestationExchange` of `node-device-key/verify`. The answer holds the TPM's endorsement keys,
   * **which identify this machine**: call it only for a backend that the user trusts with that. The first
   * call makes the key that signs attestations. On a real TPM it can take some seconds.
   *
   * Rejects with `attestation_unsupported` for keys that are not in a TPM on Linux, with `invalid_params`,
   * `key_not_found`, `tpm_owner_auth_required`, and the hardware's errors as `sign` does.
   */
  attest(params: DeviceKeyAttestParams, options?: OperationOptions): Promise<DeviceKeyAttestation> {
    return this.#request(() => this.#native.attest(toJson(params, 'params')), options);
  }

  /**
   * Decrypts the backend's credential: this shows that the key that signed the attestation is in the TPM
   * of the endorsement key. Rejects as `attest` does; with `invalid_params` when the credential is for
   * another TPM or another attestation key.
   */
  activateAttestation(
    params: DeviceKeyActivateAttestationParams,
    options?: OperationOptions,
  ): Promise<DeviceKeyActivateAttestationResponse> {
    return this.#request(() => this.#native.activateAttestation(toJson(params, 'params')), options);
  }

  /** All keys, in the order of their ids, and records that cannot be read. Needs no hardware. */
  list(): Promise<(DeviceKeyInfo | DeviceKeyUnreadable)[]> {
    return this.#request(() => this.#native.list());
  }

  /**
   * What this machine can protect keys with, found out by asking the hardware. PKCS#11 modules, which
   * may write messages and files, are loaded only when `pkcs11` or its environment variables are set,
   * when nothing else can protect keys, or with `all`; otherwise their entry has `asked: false`.
   */
  support(options?: SupportOptions): Promise<DeviceKeySupport> {
    return this.#request(() => this.#native.support(asksAll(options)));
  }

  /**
   * Closes the store: operations that wait reject with `closed`, the one that runs ends as it would
   * have. Resolves when the store's threads have ended and the hardware is released. Calling it
   * again returns the same promise.
   *
   * A store that is garbage collected without having been closed is closed then, but nobody can say
   * when that is.
   */
  close(): Promise<void> {
    if (!this.#closing) {
      droppedStores.unregister(this);
      this.#closing = closeNative(this.#native, this.#requests);
      // Whoever is asked may never answer.
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
        // Before it starts: an operation that has started must be told of.
        pending.release = signal?.listen(() => {
          // Without a request it waits for a PIN.
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

  /** Has the PIN asked for, once for all operations that wait for it, and starts the operation again. */
  async #startWithPin(pending: Pending, error: NativeError): Promise<void> {
    this.#waitingForPin.add(pending);
    try {
      // Wrong PINs end operations; this is for a token that wants to be logged in to for ever.
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
    // The answer that another operation has got since may do for this one.
    if (!question || !this.#askPin) return;
    let pin: unknown;
    try {
      pin = await this.#askPin(question);
    } catch (cause) {
      throw new DeviceKeyError('user_canceled', `${error.message}; asking for it failed`, {
        cause,
      });
    }
    if (!isText(pin)) {
      throw new DeviceKeyError('user_canceled', `${error.message}; no PIN was given when asked`);
    }
    // A PIN that nobody waits for any more would stay.
    if (this.#waitingForPin.size > 0) this.#native.answerPin(pin);
  }
}

/** How often one operation may be started again for want of a PIN. */
const maxPinRounds = 10;

/** Whether a PIN can be given to a token: not empty, and without lone surrogates. */
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

/** Nothing here may refer to the DeviceKeyStore, or it would never be collected. */
const droppedStores = new FinalizationRegistry<{ native: NativeStore; requests: Requests }>(
  ({ native, requests }) => void closeNative(native, requests),
);

/** Resolves when the threads have ended; the native store then holds nothing any more. */
async function closeNative(native: NativeStore, requests: Requests): Promise<void> {
  const request = native.close();
  await new Promise<unknown>((resolve) => requests.set(request, resolve));
  native.abandon();
  openStores.delete(native);
  if (openStores.size === 0) process.off('exit', abandonOpenStores);
}

/** Apart from the constructor, so that the native store's reference to it does not reach the store. */
function settlerOf(requests: Requests): (request: number, outcome: Outcome) => void {
  return (request, outcome) => {
    const settle = requests.get(request);
    requests.delete(request);
    settle?.(outcome);
  };
}
