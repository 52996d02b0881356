import { serveStdio } from '../../app-server';
import type { Command } from '../command';
import type { Interruption } from '../failure';
import { openStore } from '../store-session';

export const command: Command = {
  summary: 'serve device/key over standard input and output',
  usage: '[OPTIONS]',
  description: `Serves the methods device/key/create, device/key/public and device/key/sign as JSON-RPC,
one message a line, until standard input ends. For a program that starts it as its
child; docs/app-server.md describes the protocol.`,
  options: {},
  positionals: [],
  examples: [
    `printf '%s\\n' '{"id":0,"method":"initialize","params":{"clientInfo":{"name":"me","version":"1"}}}' |`,
    '    device-key app-server',
  ],

  async run(invocation) {
    const { signal } = invocation;
    const store = openStore(invocation);
    const stop = () => process.stdin.destroy();
    signal.addEventListener('abort', stop);
    try {
      await serveStdio({ store, input: process.stdin, output: process.stdout });
    } finally {
      signal.removeEventListener('abort', stop);
      await store.close();
    }
    return signal.aborted ? (signal.reason as Interruption).exitCode : 0;
  },
};
