/**
 * The `device/key` methods for app-servers: a request handler to embed, and a complete server on
 * standard input and output. Loads no native code for a caller that passes a store.
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
