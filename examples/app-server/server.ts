// A custom app-server: JSON-RPC, one message per line, on standard input and output. It has its own
// method, `clock/now`, and passes every method that begins with `device/key/` to node-device-key.
//
//   npx tsc -p examples/app-server && node .cache/examples/app-server/server.js
//   {"id":1,"method":"clock/now"}
//   {"id":2,"method":"device/key/support"}
//
// A server with only device keys is one call: `serveStdio()`.
import { createInterface } from 'node:readline';

import { DeviceKeyStore } from 'node-device-key';
import { createDeviceKeyRequestHandler } from 'node-device-key/app-server';

interface Message {
  id?: string | number;
  method?: string;
}

const store = DeviceKeyStore.open();

// This server knows its only client: the process that started it. A server that also listens on a
// WebSocket makes a second handler for those messages, with `transport: 'websocket'`: it refuses
// every request and gives the reason.
const answerDeviceKeyRequest = createDeviceKeyRequestHandler({
  store,
  transport: 'stdio',
  onUnexpectedError: console.error, // standard output is for the protocol
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
    // Not awaited here: while the hardware signs for one request, the server answers others.
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
