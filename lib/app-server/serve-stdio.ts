import { setMaxListeners } from 'node:events';
import type { Readable, Writable } from 'node:stream';

import { DeviceKeyError } from '../errors';
import { ownMembers, readOptions } from '../own';
import type { DeviceKeyStore } from '../store';
import { thisPackage } from '../this-package';
import { AnswerWriter } from './answer-writer';
import { clientOf, initializeResult, type Client } from './initialize';
import { LineReader, type Line } from './lines';
import {
  UNKNOWN_ADDRESSEE,
  failure,
  failureOf,
  readMessage,
  success,
  type Request,
  type RequestId,
} from './messages';
import { callMethod, requireCallback, type DeviceKeyRequestStore } from './request-handler';

export interface ServeStdioOptions {
  /** The server does not close it. Default: a separate store with the default options. */
  store?: DeviceKeyRequestStore;
  /** Where requests come from. Default: `process.stdin`. */
  input?: Readable;
  /**
   * The output for answers. Stays open. Default: `process.stdout`; nothing else may then write to
   * it.
   */
  output?: Writable;
  /** The server's name in the result of `initialize`. Default: this package's name and version. */
  server?: { name: string; version: string };
  /** How many requests are processed at once; further requests are not read yet. Default 1,024. */
  maxRequestsInFlight?: number;
  /** As for `createDeviceKeyRequestHandler`. Default: writes to standard error. */
  onUnexpectedError?: (error: unknown) => void;
}

/**
 * Serves the `device/key` methods as JSON-RPC, one message per line, until the input ends; then
 * resolves when every request is answered. Also resolves when the reader of the output closes it:
 * its outstanding requests are canceled. docs/app-server.md describes the protocol.
 *
 * Rejects with `invalid_params` for a malformed option; also if there is no build of the addon to
 * open a store with, or if the input or the output fails.
 */
export async function serveStdio(options: ServeStdioOptions = {}): Promise<void> {
  const own = usableOptions(options);
  if (own.store) return new StdioServer(own.store, own).run();
  const store = openStore();
  try {
    await new StdioServer(store, own).run();
  } finally {
    await store.close();
  }
}

function usableOptions(options: ServeStdioOptions): ServeStdioOptions {
  const own = readOptions(options);
  const { store, input, output, server, maxRequestsInFlight, onUnexpectedError } = own;
  const isObject = (value: unknown) => typeof value === 'object' && value !== null;
  const check = (name: string, expected: string, isUsable: () => boolean) => {
    try {
      if (isUsable()) return;
    } catch {
      // An object that throws when it is read.
    }
    throw new DeviceKeyError('invalid_params', `${name}: expected ${expected}`);
  };
  check('store', 'a DeviceKeyStore', () => {
    if (store === undefined) return true;
    return isObject(store) && ['string', 'undefined'].includes(typeof store.directory);
  });
  check('input', 'a readable stream', () => {
    return input === undefined || typeof input[Symbol.asyncIterator] === 'function';
  });
  check('output', 'a writable stream', () => {
    if (output === undefined) return true;
    const methods = ['on', 'off', 'write'] as const;
    return methods.every((name) => typeof output[name] === 'function');
  });
  check('server', 'an object with a name and a version, which are strings', () => {
    if (server === undefined) return true;
    const { name, version } = ownMembers(server);
    return typeof name === 'string' && typeof version === 'string';
  });
  // With room for none, the server would wait for ever.
  check('maxRequestsInFlight', 'a whole number of 1 or more', () => {
    if (maxRequestsInFlight === undefined) return true;
    return Number.isSafeInteger(maxRequestsInFlight) && maxRequestsInFlight >= 1;
  });
  requireCallback(onUnexpectedError);
  return own;
}

// Loaded on demand: a caller that passes a store may have no build of the addon.
function openStore(): DeviceKeyStore {
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- on demand
  const { DeviceKeyStore } = require('../store') as typeof import('../store');
  return DeviceKeyStore.open();
}

class StdioServer {
  readonly #store: DeviceKeyRequestStore;
  readonly #input: Readable;
  readonly #writer: AnswerWriter;
  readonly #server: ServeStdioOptions['server'];
  readonly #maxInFlight: number;
  readonly #onUnexpectedError: (error: unknown) => void;

  readonly #lines = new LineReader();
  readonly #inFlight = new Set<RequestId>();
  readonly #abandoned = new AbortController();
  /** The client from `initialize`; undefined before it. */
  #client: Client | undefined;
  /** The addressee of unreadable messages: has `jsonrpc` when `initialize` had it. */
  #unknownAddressee = UNKNOWN_ADDRESSEE;
  #wake: (() => void) | undefined;

  constructor(store: DeviceKeyRequestStore, options: ServeStdioOptions) {
    this.#store = store;
    this.#input = options.input ?? process.stdin;
    this.#server = options.server;
    this.#maxInFlight = options.maxRequestsInFlight ?? 1024;
    this.#onUnexpectedError = options.onUnexpectedError ?? console.error;
    setMaxListeners(0, this.#abandoned.signal);
    this.#writer = new AnswerWriter(options.output ?? process.stdout, () => {
      this.#onChange();
    });
  }

  async run(): Promise<void> {
    try {
      await this.#read();
    } finally {
      await this.#until(() => this.#inFlight.size === 0 && this.#writer.idle);
      this.#writer.release();
    }
    if (this.#writer.failure) throw this.#writer.failure;
  }

  async #read(): Promise<void> {
    try {
      for await (const chunk of this.#input as AsyncIterable<Buffer | string>) {
        const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
        for (const line of this.#lines.push(bytes)) {
          this.#accept(line);
          if (!this.#hasRoom()) await this.#until(() => this.#hasRoom());
          if (this.#writer.ended) return;
        }
      }
      for (const line of this.#lines.end()) this.#accept(line);
    } catch (error) {
      // We or the owner closed the input before its end. Treat this as the end.
      if ((error as NodeJS.ErrnoException).code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error;
    }
  }

  #accept(line: Line): void {
    if ('fault' in line) {
      this.#writer.send(failure(this.#unknownAddressee, 'parse_error', line.fault));
      return;
    }
    let parsed: unknown;
    try {
      parsed = JSON.parse(line.text);
    } catch {
      // Without the parser's message, which quotes the line.
      this.#writer.send(failure(this.#unknownAddressee, 'parse_error', 'the line is not JSON'));
      return;
    }
    const message = readMessage(parsed, this.#unknownAddressee);
    // Clients send only the notification `initialized`, which requires no action.
    if (message.kind === 'notification') return;
    if (message.kind === 'malformed') {
      this.#writer.send(message.answer);
    } else {
      this.#serve(message);
    }
  }

  #serve(request: Request): void {
    if (this.#inFlight.has(request.id)) {
      // With the id null: the first request with this id has not been answered yet.
      this.#writer.send(
        failure(
          { id: null, versioned: request.versioned },
          'invalid_request',
          `id: expected one that is not in use, and ${JSON.stringify(request.id)} has not been answered yet`,
        ),
      );
    } else if (request.method === 'initialize') {
      this.#initialize(request);
    } else if (!this.#client) {
      this.#writer.send(failure(request, 'not_initialized', 'expected initialize first'));
    } else {
      void this.#call(request);
    }
  }

  #initialize(request: Request): void {
    const client = clientOf(request.params);
    this.#client ??= client;
    // Some clients send `initialize` again when they did not understand the first answer.
    if (client.name !== this.#client.name || client.version !== this.#client.version) {
      const message =
        'this session was initialized by another client; send the same clientInfo, or start ' +
        'another server';
      this.#writer.send(failure(request, 'already_initialized', message));
      return;
    }
    this.#unknownAddressee = { id: null, versioned: request.versioned };
    const server = this.#server ?? thisPackage;
    this.#writer.send(success(request, initializeResult(server, this.#store.directory)));
  }

  async #call({ id, versioned, method, params }: Request): Promise<void> {
    this.#inFlight.add(id);
    const to = { id, versioned };
    try {
      const result = await callMethod(this.#store, method, params, this.#abandoned.signal);
      this.#writer.send(success(to, result));
    } catch (error) {
      this.#writer.send(failureOf(to, error, this.#onUnexpectedError));
    }
    this.#inFlight.delete(id);
    this.#onChange();
  }

  #hasRoom(): boolean {
    return this.#writer.ready && this.#inFlight.size < this.#maxInFlight;
  }

  /** Resolves when the condition is true, or when the client has closed the output. */
  async #until(condition: () => boolean): Promise<void> {
    while (!condition() && !this.#writer.ended) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  #onChange(): void {
    if (this.#writer.ended) {
      this.#abandoned.abort();
      this.#input.destroy();
    }
    this.#wake?.();
  }
}
