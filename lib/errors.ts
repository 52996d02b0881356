/** Why an operation failed, for programs. Codes may be added; existing ones keep their meaning. */
export type DeviceKeyErrorCode =
  /** The parameters have the wrong shape; the message names the member and the expected value. */
  | 'invalid_params'
  /** The payload breaks a rule; the message names the member and the expected value. */
  | 'invalid_payload'
  /** This store has no key with that id. */
  | 'key_not_found'
  /** The request is for another account, client, origin or use than the key was made for. */
  | 'binding_mismatch'
  /** There is no usable security hardware; the message names the missing part. */
  | 'hardware_unavailable'
  /** Only a weaker protection than the policy allows is available; the message names it. */
  | 'degraded_protection_not_allowed'
  /**
   * The PKCS#11 token that has the key, or that was chosen, is not present; the message names it.
   */
  | 'token_missing'
  /**
   * The provider of the key cannot prove where the key is; keys in a TPM on Linux can be proven.
   */
  | 'attestation_unsupported'
  /** This user may not use the hardware. */
  | 'permission_denied'
  /** A system library that talks to the hardware is not installed; the message names the package. */
  | 'library_missing'
  /** Another program is using the hardware; trying again may succeed. */
  | 'device_busy'
  /** The operation did not end within `timeoutMs`, counted from the call. */
  | 'device_timeout'
  /** The TPM refuses authorizations after too many wrong ones. */
  | 'tpm_lockout'
  /** The TPM's owner has set a password that is needed here. */
  | 'tpm_owner_auth_required'
  /** The hardware has been cleared or exchanged: the key no longer exists. */
  | 'key_lost'
  | 'user_canceled'
  | 'user_presence_required'
  | 'session_locked'
  | 'missing_entitlement'
  /** The token needs its PIN, and none was given or it could not be read. */
  | 'pin_required'
  /** The token refused the PIN, now or before: a wrong PIN is tried only once. */
  | 'pin_incorrect'
  /** The token's PIN is locked, or the next wrong one would lock it. */
  | 'pin_locked'
  /** A record on disk is damaged or was written by a newer version; it has not been touched. */
  | 'store_corrupt'
  /** The store, a record or a directory above could be read, written or swapped by another user. */
  | 'store_insecure'
  /** The store's directory cannot be written. */
  | 'store_unwritable'
  /** More than `queueLimit` operations are waiting. */
  | 'queue_full'
  /** The operation's `signal` was aborted. */
  | 'canceled'
  /** The store has been closed. */
  | 'closed'
  | 'remote_transport_refused'
  /** The operating system or a driver failed in a way that no other code describes. */
  | 'platform_error'
  /** A signature did not verify, or cryptography failed otherwise. */
  | 'crypto_error';

/**
 * The only error class of this package. `message` tells people what happened and what to do; it
 * never contains payload contents, PINs or tokens.
 */
export class DeviceKeyError extends Error {
  readonly code: DeviceKeyErrorCode;
  /**
   * The raw status of the layer below, in hexadecimal, where there is one: a TSS2_RC such as
   * `'0x921'`, an HRESULT, a CK_RV or an OSStatus.
   */
  declare readonly platformStatus?: string;

  constructor(
    code: DeviceKeyErrorCode,
    message: string,
    options?: { cause?: unknown; platformStatus?: string | undefined },
  ) {
    super(
      message,
      options && Object.hasOwn(options, 'cause') ? { cause: options.cause } : undefined,
    );
    this.code = code;
    if (
      options &&
      Object.hasOwn(options, 'platformStatus') &&
      options.platformStatus !== undefined
    ) {
      this.platformStatus = options.platformStatus;
    }
  }

  static {
    this.prototype.name = 'DeviceKeyError';
  }
}
