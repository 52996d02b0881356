// An app-server of one's own: JSON-RPC, one message a line, on standard input and output. It has a
// method, `clock/now`, and passes every method that begins with `device/key/` to node-device-key.
//
//   npx tsc -p examples/app-server && node .cache/examples/app-server/server.js
//   {"id":1,"method":"clock/now"}
//   {"id":2,"method":"device/key/support"}
//
// A server that needs nothing but device keys is one call: `serveStdio()`.
import { createInterface } from 'node:readline';

import { DeviceKeyStore } from 'node-device-key';
import { createDeviceKeyRequestHandler } from 'node-device-key/app-server';

interface Message {
  id?: string | number;
  method?: string;
}

const store = DeviceKeyStore.open();

// This server knows who is at the other end: the process that started it. A server that also listens
// on a WebSocket makes a second handler, with `transport: 'websocket'`, for its messages:
// that one refuses everything, and says why.
const answerDeviceKeyRequest = createDeviceKeyRequestHandler({
  store,
  transport: 'stdio',
  onUnexpectedError: console.error, // standard output is the protocol's
});

async function answer(message: Message): Promise<object | undefined> {
  if (message.method?.startsWith('device/key/')) return answerDeviceKeyRequest(message);
  if (message.id === undefined) return undefined;
  if (message.method === 'clock/now') return { id: message.id, result: { now: Date.now() } };
  return { id: message.id, error: { code: -32601, message: 'there is no such method' } };
}

function parse(line: string): Message | undefined {
  try {
    const message = JSON.parse(line) as Message | null;
    return typeof message?.method === 'string' ? message : undefined;
  } catch {
    return undefined;
  }
}

function send(response: object): void {
  process.stdout.write(`${JSON.stringify(response)}\n`);
}

async function main(): Promise<void> {
  const underWay = new Set<Promise<void>>();
  for await (const line of createInterface({ input: process.stdin })) {
    const message = parse(line);
    if (!message) {
      send({ id: null, error: { code: -32700, message: 'expected a request' } });
      continue;
    }
    // Not awaited here: while the hardware signs for one request, others are answered.
    const done = answer(message).then((response) => {
      if (response) send(response);
      underWay.delete(done);
    });
    underWay.add(done);
  }
  await Promise.all(underWay);
  await store.close();
}

void main();
