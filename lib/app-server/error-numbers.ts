import type { DeviceKeyErrorCode } from '../errors';

/** The values of `error.data.code`: why a request failed, for programs. */
export type AppServerErrorCode =
  | DeviceKeyErrorCode
  /** The line is too long, not UTF-8 or not JSON. */
  | 'parse_error'
  /**
   * The message is not a JSON-RPC request that this server accepts; the error message gives the
   * reason.
   */
  | 'invalid_request'
  | 'method_not_found'
  /** A request before `initialize`. */
  | 'not_initialized'
  /** A second `initialize` with other client info than the first. */
  | 'already_initialized';

/** JSON-RPC 2.0, section 5.1. */
const PARSE_ERROR = -32700;
const INVALID_REQUEST = -32600;
const METHOD_NOT_FOUND = -32601;
const INTERNAL_ERROR = -32603;

/**
 * -32600 if the caller, or the person at this machine, must change something before the same
 * request can succeed; -32603 for failures on this side, which may be temporary.
 */
const NUMBERS: Record<AppServerErrorCode, number> = {
  parse_error: PARSE_ERROR,
  method_not_found: METHOD_NOT_FOUND,

  invalid_request: INVALID_REQUEST,
  not_initialized: INVALID_REQUEST,
  already_initialized: INVALID_REQUEST,
  remote_transport_refused: INVALID_REQUEST,
  invalid_params: INVALID_REQUEST,
  invalid_payload: INVALID_REQUEST,
  binding_mismatch: INVALID_REQUEST,
  key_not_found: INVALID_REQUEST,
  key_lost: INVALID_REQUEST,
  degraded_protection_not_allowed: INVALID_REQUEST,
  // The user must set something up before this hardware can be used.
  hardware_unavailable: INVALID_REQUEST,
  token_missing: INVALID_REQUEST,
  attestation_unsupported: INVALID_REQUEST,
  permission_denied: INVALID_REQUEST,
  library_missing: INVALID_REQUEST,
  tpm_owner_auth_required: INVALID_REQUEST,
  missing_entitlement: INVALID_REQUEST,
  // The person must do something.
  user_canceled: INVALID_REQUEST,
  user_presence_required: INVALID_REQUEST,
  session_locked: INVALID_REQUEST,
  pin_required: INVALID_REQUEST,
  pin_incorrect: INVALID_REQUEST,
  pin_locked: INVALID_REQUEST,
  // The caller sent too many requests, or no longer wants this one.
  queue_full: INVALID_REQUEST,
  canceled: INVALID_REQUEST,

  device_busy: INTERNAL_ERROR,
  device_timeout: INTERNAL_ERROR,
  tpm_lockout: INTERNAL_ERROR,
  store_corrupt: INTERNAL_ERROR,
  store_insecure: INTERNAL_ERROR,
  store_unwritable: INTERNAL_ERROR,
  closed: INTERNAL_ERROR,
  platform_error: INTERNAL_ERROR,
  crypto_error: INTERNAL_ERROR,
};

export function isAppServerErrorCode(code: unknown): code is AppServerErrorCode {
  return typeof code === 'string' && Object.hasOwn(NUMBERS, code);
}

export function jsonRpcErrorNumber(code: AppServerErrorCode): number {
  return NUMBERS[code];
}
