/**
 * DPoP (RFC 9449) with keys of a `DeviceKeyStore`, for OAuth libraries that do not support external
 * signers.
 *
 * Importing this module does not load the addon; opening the store loads it.
 *
 * @packageDocumentation
 */
export { dpopFetch, type DpopFetch, type DpopFetchOptions, type DpopSigner } from './dpop/fetch';
export { atprotoDpopKey, type AtprotoDpopKey } from './dpop/atproto-key';
export { mcpDpopSession, type McpDpopSession } from './dpop/mcp-session';
export type * from './dpop/types';
