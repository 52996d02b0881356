/**
 * The `device/key` methods for app-servers: a request handler to embed, and a whole server over
 * standard input and output. No native code is loaded for a caller who brings a store.
 *
 * @packageDocumentation
 */
export type { AppServerErrorCode } from './app-server/error-numbers';
export type { JsonRpcError, JsonRpcResponse, RequestId } from './app-server/messages';
export {
  createDeviceKeyRequestHandler,
  type DeviceKeyRequestHandler,
  type DeviceKeyRequestHandlerOptions,
  type DeviceKeyRequestStore,
  type DeviceKeyTransport,
} from './app-server/request-handler';
export { serveStdio, type ServeStdioOptions } from './app-server/serve-stdio';
