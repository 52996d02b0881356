// serveStdio: newline-delimited JSON, for any division into chunks and any slow reader.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { PassThrough, Readable, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';

import fc from 'fast-check';

import {
  serveStdio,
  type DeviceKeyRequestStore,
  type JsonRpcResponse,
  type ServeStdioOptions,
} from '../../dist/app-server.js';
import { DeviceKeyError } from '../../dist/index.js';
import { HeldCalls, stubStore } from '../support/stub-store';

const initialize = '{"id":"init","method":"initialize"}\n';
const publicRequest = (id: unknown, more: object = {}) =>
  `${JSON.stringify({ id, method: 'device/key/public', params: { keyId: String(id) }, ...more })}\n`;

// A store that has every key and answers immediately.
const store = stubStore({
  public: (params) =>
    Promise.resolve(params as Awaited<ReturnType<DeviceKeyRequestStore['public']>>),
});

// A server, with the client's ends of its two streams.
class Session {
  readonly input = new PassThrough();
  readonly output = new PassThrough();
  readonly ended: Promise<void>;
  #rest = '';

  constructor(options: ServeStdioOptions = {}) {
    this.ended = serveStdio({ store, input: this.input, output: this.output, ...options });
  }

  // The answers since the last call; waits for the first.
  async answers(): Promise<JsonRpcResponse[]> {
    const chunk = (this.output.read() ?? (await this.#nextChunk())) as Buffer;
    const lines = (this.#rest + chunk.toString()).split('\n');
    this.#rest = lines.pop()!;
    return lines.map((line) => JSON.parse(line) as JsonRpcResponse);
  }

  async #nextChunk(): Promise<unknown> {
    await once(this.output, 'readable');
    return this.output.read();
  }
}

// All answers to an input, which then ends.
async function answersTo(
  chunks: (string | Uint8Array)[],
  options: ServeStdioOptions = {},
): Promise<JsonRpcResponse[]> {
  const written: Buffer[] = [];
  const output = new Writable({
    write(chunk: Buffer, _encoding, callback) {
      written.push(chunk);
      callback();
    },
  });
  const input = Readable.from(chunks.map((chunk) => Buffer.from(chunk)));
  await serveStdio({ store, input, output, ...options });
  const text = Buffer.concat(written).toString();
  expect(text === '' || text.endsWith('\n')).toBe(true);
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as JsonRpcResponse);
}

const codes = (answers: JsonRpcResponse[]) =>
  answers.map((answer) => ('error' in answer ? answer.error.data.code : 'result'));

const afterInitialize = async (...args: Parameters<typeof answersTo>) =>
  (await answersTo([initialize, ...args[0]], args[1])).slice(1);

describe('the opening', () => {
  const { name, version } = jest.requireActual<{ name: string; version: string }>(
    '../../package.json',
  );
  const platformFamily = process.platform === 'win32' ? 'windows' : 'unix';
  const platformOs = { win32: 'windows', darwin: 'macos' }[process.platform as string] ?? 'linux';

  test("initialize returns the members of the protocol's schema and our own", async () => {
    expect(await answersTo([initialize], { store: { ...store, directory: '/keys' } })).toEqual([
      {
        id: 'init',
        result: {
          userAgent: `${name}/${version} (${platformOs}; ${process.arch})`,
          codexHome: '/keys',
          platformFamily,
          platformOs,
          name,
          version,
          platform: process.platform,
        },
      },
    ]);
  });

  test('initialize names the working directory when the store has no directory', async () => {
    expect(await answersTo([initialize])).toMatchObject([{ result: { codexHome: process.cwd() } }]);
  });

  test("initialize returns the embedder's name for its server", async () => {
    const server = { name: 'ours', version: '7' };
    expect(await answersTo([initialize], { server })).toMatchObject([{ result: server }]);
  });

  test('a request before initialize is refused, and the session can still begin', async () => {
    const answers = await answersTo([publicRequest(1), initialize, publicRequest(2)]);
    expect(codes(answers)).toEqual(['not_initialized', 'result', 'result']);
  });

  // Like a client that starts the reference server; it sends `initialize` again after an answer
  // that it does not understand.
  const clientInitialize = (id: number, clientName: string) =>
    `{"jsonrpc":"2.0","id":${id},"method":"initialize","params":{"clientInfo":{"name":"${clientName}",` +
    '"title":"Codex Go SDK","version":"0.1.0"},"capabilities":{"experimentalApi":true}}}\n';
  const initialized = '{"jsonrpc":"2.0","method":"initialized"}\n';

  test('a second initialize of the same client is answered like the first', async () => {
    const [first, second, last] = await answersTo([
      clientInitialize(1, 'codex_go_sdk') + initialized,
      clientInitialize(2, 'codex_go_sdk') + initialized,
      publicRequest(3),
    ]);
    expect(first).toEqual({ jsonrpc: '2.0', id: 1, result: expect.any(Object) as object });
    expect(second).toEqual({ ...first, id: 2 });
    expect(last).toMatchObject({ id: 3, result: {} });
  });

  test('an initialize of another client is refused, and the session continues', async () => {
    const chunks = [clientInitialize(1, 'codex_go_sdk'), clientInitialize(2, 'other')];
    const answers = await answersTo([...chunks, publicRequest(3)]);
    expect(codes(answers)).toEqual(['result', 'already_initialized', 'result']);
  });

  test.each(['null', '7', '[]', '{"clientInfo":null}', '{"clientInfo":{"name":{}}}'])(
    'initialize takes the params %s',
    async (params) => {
      const line = `{"id":1,"method":"initialize","params":${params}}\n`;
      expect(codes(await answersTo([line]))).toEqual(['result']);
    },
  );

  test('notifications are never answered, before or after initialize', async () => {
    const answers = await answersTo([initialized, initialize, initialized, '{"method":"x"}\n']);
    expect(codes(answers)).toEqual(['result']);
  });
});

describe('lines', () => {
  test('can end in CRLF, and the last line needs no line end', async () => {
    const answers = await afterInitialize([publicRequest(1).replace('\n', '\r\n'), '{"id":2}']);
    expect(codes(answers)).toEqual(['result', 'invalid_request']);
  });

  test('that are empty are ignored', async () => {
    expect(await afterInitialize(['\n\r\n \t\n\n', '  '])).toEqual([]);
  });

  test.each([
    ['no JSON', 'device/key/public\n'],
    ['half of a request', '{"id":1,\n'],
    ['bytes that are no UTF-8', Buffer.from('{"id":"\xff"}\n', 'latin1')],
    ['a surrogate in UTF-8', Buffer.from('{"id":"\xed\xa0\x80"}\n', 'latin1')],
    ['a byte order mark', '\ufeff{"id":1}\n'],
    ['nesting without end', '['.repeat(2 ** 19) + '\n'],
  ])('with %s are refused, and the next is served', async (_, line) => {
    const answers = await afterInitialize([line, publicRequest(1)]);
    expect(answers).toMatchObject([
      { id: null, error: { code: -32700, data: { code: 'parse_error' } } },
      { id: 1, result: {} },
    ]);
  });

  // Multi-byte characters and white space, so that bytes are counted, not characters or JSON.
  const lineOf = (bytes: number) => {
    const request = publicRequest('é'.repeat(1000)).trimEnd();
    return request + ' '.repeat(bytes - Buffer.byteLength(request));
  };

  test('of 1 MiB are served', async () => {
    expect(codes(await afterInitialize([lineOf(2 ** 20), '\n']))).toEqual(['result']);
  });

  test('of one byte more are refused once, and the next is served', async () => {
    const answers = await afterInitialize([lineOf(2 ** 20 + 1), '\n', publicRequest(2)]);
    expect(codes(answers)).toEqual(['parse_error', 'result']);
  });

  test('that never end are refused as soon as they are too long', async () => {
    const session = new Session();
    const chunk = Buffer.alloc(2 ** 16, 'x');
    for (let written = 0; written <= 2 ** 20; written += chunk.length) session.input.write(chunk);
    expect(codes(await session.answers())).toEqual(['parse_error']);
    session.input.end();
    await session.ended;
  });

  test('that cannot be read are answered in the version that initialize had', async () => {
    const versioned = '{"jsonrpc":"2.0","id":0,"method":"initialize"}\n';
    expect(await answersTo([versioned, '!\n', '[]\n'])).toMatchObject([
      { jsonrpc: '2.0', id: 0 },
      { jsonrpc: '2.0', id: null },
      { jsonrpc: '2.0', id: null },
    ]);
    expect(await afterInitialize(['!\n'])).not.toMatchObject([{ jsonrpc: '2.0' }]);
  });
});

describe('requests in flight', () => {
  let held: HeldCalls;
  let session: Session;

  beforeEach(async () => {
    held = new HeldCalls();
    session = new Session({ store: stubStore(held), maxRequestsInFlight: 3 });
    session.input.write(initialize);
    await session.answers();
  });

  test('are answered as they finish', async () => {
    session.input.write(publicRequest('a') + publicRequest('b'));
    await held.reach(2);
    held.settle('b');
    expect(await session.answers()).toMatchObject([{ id: 'b', result: {} }]);
    held.settle('a', new DeviceKeyError('key_lost', 'gone'));
    expect(await session.answers()).toMatchObject([{ id: 'a', error: { code: -32600 } }]);
  });

  test('are answered after the end of the input, and only then does the server end', async () => {
    let over = false;
    void session.ended.then(() => (over = true));
    session.input.end(publicRequest('a') + publicRequest('b').trimEnd());
    await held.reach(2);
    held.settle('a');
    expect(await session.answers()).toMatchObject([{ id: 'a' }]);
    expect(over).toBe(false);
    held.settle('b');
    expect(await session.answers()).toMatchObject([{ id: 'b' }]);
    await session.ended;
  });

  test('keep their id: a second request with the same id is refused with a null id', async () => {
    session.input.write(publicRequest('a') + publicRequest('a') + publicRequest('b'));
    expect(await session.answers()).toMatchObject([
      { id: null, error: { code: -32600, data: { code: 'invalid_request' } } },
    ]);
    held.settle('a');
    expect(await session.answers()).toMatchObject([{ id: 'a', result: {} }]);
  });

  test('can have ids that differ only in their type', async () => {
    session.input.write('{"id":1,"method":"device/key/public","params":{"keyId":"number"}}\n');
    session.input.write('{"id":"1","method":"device/key/public","params":{"keyId":"string"}}\n');
    await held.reach(2);
    held.settle('string');
    expect(await session.answers()).toMatchObject([{ id: '1' }]);
  });

  test('get an answer with their id', async () => {
    for (let round = 0; round < 2; round += 1) {
      session.input.write(publicRequest('a'));
      await held.reach(1);
      held.settle('a');
      expect(await session.answers()).toMatchObject([{ id: 'a', result: {} }]);
    }
  });

  test('are limited: further requests are not read until one is answered', async () => {
    session.input.write(['a', 'b', 'c', 'd'].map((id) => publicRequest(id)).join(''));
    await held.reach(3);
    await new Promise(setImmediate);
    expect(held.keyIds).toEqual(['a', 'b', 'c']);
    held.settle('b');
    await held.reach(3);
    expect(held.keyIds).toEqual(['a', 'c', 'd']);
  });
});

describe('a reader of the output', () => {
  test('that is slow delays the reading of the input', async () => {
    const calls = jest.fn(store.public);
    const session = new Session({ store: stubStore({ public: calls }) });
    session.input.write(initialize);
    let sent = 0;
    // Until both streams are full.
    do {
      sent += 1;
      session.input.write(publicRequest(String(sent).padEnd(1000)));
      await new Promise(setImmediate);
    } while (!session.input.writableNeedDrain);
    expect(calls.mock.calls.length).toBeLessThan(sent);

    session.input.end();
    let answered = -1; // initialize
    while (answered < sent) answered += (await session.answers()).length;
    await session.ended;
    expect(calls).toHaveBeenCalledTimes(sent);
  });

  test('gets all answers that are ready in one write', async () => {
    const writes: string[] = [];
    const output = new Writable({
      decodeStrings: false,
      write(text: string, _encoding, callback) {
        writes.push(text);
        callback();
      },
    });
    const requests = Array.from({ length: 100 }, (_, id) => publicRequest(id)).join('');
    await serveStdio({ store, input: Readable.from([Buffer.from(initialize + requests)]), output });
    expect(writes.join('').split('\n')).toHaveLength(102);
    expect(writes).toHaveLength(1);
  });

  test('that is closed at the start ends the server', async () => {
    const session = new Session({ output: new PassThrough().destroy() });
    session.input.write(initialize);
    await session.ended;
  });

  test.each(['EPIPE', 'ECONNRESET'])(
    'who goes away (%s) ends the server quietly, and its requests are canceled',
    async (code) => {
      let canceled = false;
      const create: DeviceKeyRequestStore['create'] = (_, options) =>
        new Promise(() => {
          options!.signal!.addEventListener('abort', () => (canceled = true));
        });
      const gone = Object.assign(new Error(code), { code });
      const output = new Writable({
        write: (_chunk, _encoding, callback) => {
          callback(gone);
        },
      });
      const input = new PassThrough();
      const ended = serveStdio({ store: stubStore({ create }), input, output });
      input.write(initialize + '{"id":1,"method":"device/key/create"}\n');
      await ended;
      expect(canceled).toBe(true);
      expect(input.destroyed).toBe(true);
    },
  );

  test('with any other error makes the server reject', async () => {
    const output = new Writable({
      write: (_chunk, _encoding, callback) => {
        callback(Object.assign(new Error('no space left'), { code: 'ENOSPC' }));
      },
    });
    await expect(
      serveStdio({ store, input: Readable.from([Buffer.from(initialize)]), output }),
    ).rejects.toThrow('no space left');
  });
});

test('after an input error the server answers all requests and rejects', async () => {
  const session = new Session();
  session.input.write(initialize);
  await session.answers();
  session.input.write(publicRequest('a'));
  session.input.destroy(new Error('the cable was cut'));
  await expect(session.ended).rejects.toThrow('the cable was cut');
});

test('a closed input ends the server like the end of the input', async () => {
  const session = new Session();
  session.input.write(initialize);
  await session.answers();
  session.input.destroy();
  await session.ended;
});

test('a result that is not JSON is an error of the store, and the server continues', async () => {
  const onUnexpectedError = jest.fn();
  const list = () => Promise.resolve([{ createdAt: 1n }] as never);
  const lines = ['{"id":1,"method":"device/key/list"}\n', publicRequest(2)];
  const answers = await afterInitialize(lines, {
    store: stubStore({ ...store, list }),
    onUnexpectedError,
  });
  expect(codes(answers)).toEqual(['platform_error', 'result']);
  expect(onUnexpectedError).toHaveBeenCalledTimes(1);
});

describe('as a process', () => {
  // A server on standard input and output, whose store has every key and answers immediately.
  const spawnServer = () =>
    spawn(
      process.execPath,
      [
        '-e',
        `require('./dist/app-server').serveStdio({ store: { public: async (params) => params } })`,
      ],
      { cwd: path.join(__dirname, '../..') },
    );

  const outcomeOf = async (server: ReturnType<typeof spawnServer>) => {
    const stderr = text(server.stderr);
    const [code] = (await once(server, 'exit')) as [number];
    return { code, stderr: await stderr };
  };

  test('answers all requests and ends with exit status 0 when its input ends', async () => {
    const server = spawnServer();
    const stdout = text(server.stdout);
    const requests = Array.from({ length: 5000 }, (_, id) => publicRequest(id)).join('');
    server.stdin.end(initialize + requests);
    expect(await outcomeOf(server)).toEqual({ code: 0, stderr: '' });
    expect((await stdout).trimEnd().split('\n')).toHaveLength(5001);
  });

  test('ends with exit status 0 and no message when its reader closes the output', async () => {
    const server = spawnServer();
    server.stdin.on('error', () => undefined); // it closes its input as well
    server.stdin.write(initialize);
    await once(server.stdout, 'data');
    server.stdout.destroy();
    server.stdin.write(publicRequest(1));
    expect(await outcomeOf(server)).toEqual({ code: 0, stderr: '' });
  });
});

describe('any input', () => {
  // Any division of bytes into chunks.
  const cutUp = (bytes: Uint8Array, cuts: number[]): Uint8Array[] => {
    const at = [0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length];
    at.sort((a, b) => a - b);
    return at.slice(1).map((end, index) => bytes.subarray(at[index], end));
  };
  const cuts = fc.array(fc.nat(), { maxLength: 20 });

  // Bytes that are more similar to the protocol than random ones.
  const noise = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc
      .array(
        fc.constantFrom('{', '}', '[', '"', '\\', '\n', '\r', '"id":1', ',', 'é', '"method":""'),
      )
      .map((tokens) => Buffer.from(tokens.join(''))),
    fc.json().map((text) => Buffer.from(text)),
  );

  test('the server continues and answers in complete lines', async () => {
    await fc.assert(
      fc.asyncProperty(noise, cuts, async (bytes, at) => {
        const all = Buffer.concat([Buffer.from(initialize), bytes, Buffer.from('\n')]);
        const answers = await answersTo([...cutUp(all, at), publicRequest('after')]);
        expect(answers.at(-1)).toEqual({ id: 'after', result: { keyId: 'after' } });
      }),
      { numRuns: 500 },
    );
  });

  const id = fc.oneof(fc.string({ unit: 'binary' }), fc.maxSafeInteger());
  const method = fc.constantFrom('device/key/public', 'device/key/none', 'initialize', 'x');

  test('every well-formed request gets exactly one answer', async () => {
    const requests = fc.uniqueArray(fc.record({ id, method }, { noNullPrototype: true }), {
      selector: (request) => JSON.stringify(request.id),
      maxLength: 50,
    });
    const garbage = fc.constantFrom('', '\r', '!', '[]', '{"method":"note"}', '{"id":null}', '"\\');
    await fc.assert(
      fc.asyncProperty(requests, fc.array(garbage), cuts, async (asked, between, at) => {
        const lines = asked.flatMap((request, index) => [
          between[index] ?? '',
          JSON.stringify(request),
        ]);
        const answers = await answersTo(cutUp(Buffer.from(lines.join('\n')), at));
        const answered = answers.filter((answer) => answer.id !== null);
        const ids = (list: { id: unknown }[]) => list.map((item) => JSON.stringify(item.id)).sort();
        expect(ids(answered)).toEqual(ids(asked));
      }),
      { numRuns: 300 },
    );
  });
});
