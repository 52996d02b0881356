import { serveStdio } from '../../app-server';
import { abortable } from '../abortable';
import type { Command } from '../command';
import { UsageError } from '../failure';
import { withStore } from '../store-session';

export const command: Command = {
  summary: 'serve device/key over standard input and output',
  usage: '[OPTIONS]',
  description: `Serves the methods device/key/create, device/key/public and device/key/sign as JSON-RPC,
one message per line, until standard input ends. For a program that starts it as a
child process; docs/app-server.md describes the protocol.`,
  options: {
    listen: { value: 'URL', help: 'the transport; only stdio:// is supported' },
  },
  positionals: [],
  examples: [
    `echo '{"id":0,"method":"initialize","params":{"clientInfo":{"name":"me"}}}' |`,
    '    device-key app-server',
  ],

  async run(invocation) {
    const listen = invocation.args.values.get('listen') ?? 'stdio://';
    if (listen !== 'stdio://') {
      throw new UsageError(
        '--listen: expected stdio://; device keys are only for the program that starts this server',
      );
    }
    await withStore(invocation, (store) =>
      abortable(
        serveStdio({ store, input: process.stdin, output: process.stdout }),
        invocation.signal,
      ),
    );
    return 0;
  },
};
