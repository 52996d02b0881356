import type {
  DeviceKeyActivateAttestationParams,
  DeviceKeyAttestParams,
} from '../../types/extensions';
import type {
  DeviceKeyCreateParams,
  DeviceKeyPublicParams,
  DeviceKeySignParams,
} from '../../types/v2';
import { DeviceKeyError } from '../errors';
import { readOptions } from '../own';
import type { DeviceKeyStore } from '../store';
import {
  failure,
  failureOf,
  readMessage,
  success,
  type JsonRpcResponse,
  type Message,
} from './messages';

/**
 * The methods of {@link DeviceKeyStore} that requests call. The store checks their params. Without `attest`
 * and `activateAttestation` their requests are refused with `attestation_unsupported`.
 */
export type DeviceKeyRequestStore = Pick<
  DeviceKeyStore,
  'create' | 'public' | 'sign' | 'delete' | 'list' | 'support'
> &
  Partial<Pick<DeviceKeyStore, 'attest' | 'activateAttestation' | 'directory'>>;

const LOCAL = { stdio: true, 'in-process': true, websocket: false, remote: false };

/** How requests reach this process. Device keys are for clients on this machine. */
export type DeviceKeyTransport = keyof typeof LOCAL;

export interface DeviceKeyRequestHandlerOptions {
  /** A `DeviceKeyStore`, or an object with the same methods. The handler does not close it. */
  store: DeviceKeyRequestStore;
  /** With `websocket` and `remote` every request is refused with `remote_transport_refused`. */
  transport: DeviceKeyTransport;
  /**
   * Also serves remote transports. Any client of such a transport can then sign as this machine, so
   * set this only if the transport admits only the user of this machine.
   */
  allowRemoteTransport?: boolean;
  /**
   * Called with errors of the store that are not a `DeviceKeyError`. The client gets `platform_error`
   * without their message.
   */
  onUnexpectedError?: (error: unknown) => void;
}

/**
 * Answers one parsed JSON-RPC message. Never rejects. Resolves to undefined for a notification,
 * which is ignored. Aborting `signal` ends the request with `canceled`.
 */
export type DeviceKeyRequestHandler = (
  message: unknown,
  options?: { signal?: AbortSignal } | null,
) => Promise<JsonRpcResponse | undefined>;

/**
 * A handler of the methods `device/key/create`, `device/key/public` and `device/key/sign`, and of
 * the extensions `device/key/delete`, `device/key/list`, `device/key/support`, `device/key/attest`
 * and `device/key/activateAttestation`. A server calls it for every method that begins with
 * `device/key/`.
 *
 * @throws DeviceKeyError `invalid_params` without a store, and for an unknown transport.
 */
export function createDeviceKeyRequestHandler(
  options: DeviceKeyRequestHandlerOptions,
): DeviceKeyRequestHandler {
  const { store, transport, allowRemoteTransport, onUnexpectedError } = readOptions(options);
  if (typeof store !== 'object' || (store as unknown) === null) {
    throw new DeviceKeyError('invalid_params', 'store: expected a DeviceKeyStore');
  }
  if (typeof transport !== 'string' || !Object.hasOwn(LOCAL, transport)) {
    throw new DeviceKeyError(
      'invalid_params',
      `transport: expected one of ${Object.keys(LOCAL).join(', ')}`,
    );
  }
  requireCallback(onUnexpectedError);
  const refused = !LOCAL[transport] && allowRemoteTransport !== true;

  return async (received, callOptions) => {
    const message = readMessage(received);
    if (message.kind === 'notification') return undefined;
    if (refused) return refusalOfTransport(message);
    if (message.kind === 'malformed') return message.answer;
    try {
      const { signal } = readOptions(callOptions ?? undefined);
      return success(message, await callMethod(store, message.method, message.params, signal));
    } catch (error) {
      return failureOf(message, error, onUnexpectedError);
    }
  };
}

export function requireCallback(onUnexpectedError: unknown): void {
  if (onUnexpectedError !== undefined && typeof onUnexpectedError !== 'function') {
    throw new DeviceKeyError('invalid_params', 'onUnexpectedError: expected a function');
  }
}

function refusalOfTransport(message: Exclude<Message, { kind: 'notification' }>): JsonRpcResponse {
  const [to, what] =
    message.kind === 'request' ? [message, message.method] : [message.to, 'device/key'];
  return failure(to, 'remote_transport_refused', `${what} is not available over remote transports`);
}

class MethodNotFound extends Error {
  readonly code = 'method_not_found';
}

function attestationUnsupported(): DeviceKeyError {
  return new DeviceKeyError(
    'attestation_unsupported',
    'the key store of this server cannot attest keys',
  );
}

/** The result of a method. Rejects with the store's error. */
export async function callMethod(
  store: DeviceKeyRequestStore,
  method: string,
  params: unknown,
  signal: AbortSignal | undefined,
): Promise<unknown> {
  const options = signal && { signal };
  switch (method) {
    case 'device/key/create':
      return store.create(params as DeviceKeyCreateParams, options);
    case 'device/key/public':
      return store.public(params as DeviceKeyPublicParams);
    case 'device/key/sign':
      return store.sign(params as DeviceKeySignParams, options);
    case 'device/key/delete':
      await store.delete(params as DeviceKeyPublicParams);
      return {};
    case 'device/key/list':
      return { keys: await store.list() };
    case 'device/key/support':
      return store.support();
    case 'device/key/attest':
      if (!store.attest) throw attestationUnsupported();
      return store.attest(params as DeviceKeyAttestParams, options);
    case 'device/key/activateAttestation':
      if (!store.activateAttestation) throw attestationUnsupported();
      return store.activateAttestation(params as DeviceKeyActivateAttestationParams, options);
    default:
      throw new MethodNotFound('there is no such method');
  }
}
