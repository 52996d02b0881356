import { isAppServerErrorCode, jsonRpcErrorNumber, type AppServerErrorCode } from './error-numbers';
import { ownMembers } from '../own';

/** A string, or an integer within ±(2^53 - 1), which JavaScript can repeat exactly. */
export type RequestId = string | number;

export interface JsonRpcError {
  /** -32600, -32601, -32603 or -32700. */
  code: number;
  /** What happened and what to do about it, for people. */
  message: string;
  data: {
    code: AppServerErrorCode;
    /** The raw status of the layer below, in hexadecimal, where there is one. */
    platformStatus?: string;
  };
}

/** `jsonrpc` is present if the request had it; `id` is null if the request had no usable id. */
export type JsonRpcResponse =
  | { jsonrpc?: '2.0'; id: RequestId; result: unknown }
  | { jsonrpc?: '2.0'; id: RequestId | null; error: JsonRpcError };

/** The members of a request that its response repeats. */
export interface Addressee {
  id: RequestId | null;
  versioned: boolean;
}

export interface Request {
  kind: 'request';
  id: RequestId;
  versioned: boolean;
  method: string;
  params: unknown;
}

export type Message =
  | Request
  | { kind: 'notification' }
  | { kind: 'malformed'; to: Addressee; answer: JsonRpcResponse };

/** The addressee of a message that names none. */
export const UNKNOWN_ADDRESSEE: Addressee = { id: null, versioned: false };

/** Classifies a parsed message. Checks only the envelope: the store checks the params. */
export function readMessage(message: unknown, unknownAddressee = UNKNOWN_ADDRESSEE): Message {
  if (typeof message !== 'object' || message === null) {
    return malformed(unknownAddressee, 'expected an object with the members id, method and params');
  }
  let members: Record<string, unknown>;
  try {
    // Of a proxy, `isArray` can throw as well.
    if (Array.isArray(message)) {
      return malformed(
        unknownAddressee,
        'batches are not supported: expected one object, not an array',
      );
    }
    members = ownMembers(message as Record<string, unknown>);
  } catch {
    return malformed(unknownAddressee, 'expected an object whose members can be read');
  }
  const { id, method, params, jsonrpc } = members;
  if (id === undefined && typeof method === 'string') return { kind: 'notification' };

  const to: Addressee = { id: isRequestId(id) ? id : null, versioned: jsonrpc === '2.0' };
  if (id !== undefined && to.id === null) {
    return malformed(to, 'id: expected a string, or an integer within ±9007199254740991');
  }
  if (typeof method !== 'string') return malformed(to, 'method: expected a string');
  if (jsonrpc !== undefined && !to.versioned) {
    return malformed(to, 'jsonrpc: expected "2.0", or no such member');
  }
  return { kind: 'request', id: id as RequestId, versioned: to.versioned, method, params };
}

// JSON.parse rounds greater integers and most fractions, so the answer would carry another id. JSON-RPC 2.0 discourages null and fractions.
function isRequestId(id: unknown): id is RequestId {
  return typeof id === 'string' || Number.isSafeInteger(id);
}

function malformed(to: Addressee, message: string): Message {
  return { kind: 'malformed', to, answer: failure(to, 'invalid_request', message) };
}

export function success(to: Addressee & { id: RequestId }, result: unknown): JsonRpcResponse {
  return to.versioned ? { jsonrpc: '2.0', id: to.id, result } : { id: to.id, result };
}

export function failure(
  to: Addressee,
  code: AppServerErrorCode,
  message: string,
  platformStatus?: string,
): JsonRpcResponse {
  const error: JsonRpcError = {
    code: jsonRpcErrorNumber(code),
    message,
    data: platformStatus === undefined ? { code } : { code, platformStatus },
  };
  return to.versioned ? { jsonrpc: '2.0', id: to.id, error } : { id: to.id, error };
}

/**
 * The answer for an error of the store. A DeviceKeyError is recognized by its code, because the instance
 * may come from another copy of this package. The message of any other error could contain secrets, so
 * only `onUnexpectedError` gets it.
 */
export function failureOf(
  to: Addressee,
  error: unknown,
  onUnexpectedError: ((error: unknown) => void) | undefined,
): JsonRpcResponse {
  if (error instanceof Error) {
    const { code, platformStatus } = ownMembers(
      error as { code?: unknown; platformStatus?: string },
    );
    if (isAppServerErrorCode(code)) return failure(to, code, error.message, platformStatus);
  }
  onUnexpectedError?.(error);
  return failure(to, 'platform_error', 'the key store failed in an unexpected way');
}
