// `p11-kit server`: runs a module in a process of its own, and offers it at a socket.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chown, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { linuxLibraries } from './platform';

export const p11KitClient = `${linuxLibraries}/pkcs11/p11-kit-client.so`;

const idleLimitMs = 20_000;

interface Options {
  directory: string; // for the socket; belongs to the user that runs the module
  module: string;
  env: Record<string, string>;
  // Only root can name users, like a system service; see docs/pkcs11.md. Otherwise this user runs the
  // module and connects.
  users?: {
    owner: number; // the uid that runs the module
    client: number; // the uid that may connect
  };
  quiet?: boolean; // drops its messages, one for each client that was killed
}

export class P11KitServer {
  private child: ChildProcess | undefined;

  private constructor(private readonly options: Options) {}

  static async start(options: Options): Promise<P11KitServer> {
    const server = new P11KitServer(options);
    await server.start();
    return server;
  }

  // The variables for programs that use the server.
  get environment(): Record<string, string> {
    return { P11_KIT_SERVER_ADDRESS: `unix:path=${this.socket}` };
  }

  async start(): Promise<void> {
    const { directory, module, env, users, quiet } = this.options;
    const identity = users
      ? ['--reuid', `${users.owner}`, '--regid', `${users.owner}`, '--clear-groups']
      : [];
    await rm(this.socket, { force: true });
    const child = spawn(
      'setpriv',
      [
        ...['--pdeathsig', 'KILL', ...identity],
        ...['p11-kit', 'server', '--foreground', '--provider', module],
        ...['--name', this.socket, 'pkcs11:'],
      ],
      {
        cwd: directory,
        env: { PATH: process.env['PATH'], ...env },
        stdio: ['ignore', 'pipe', quiet ? 'ignore' : 'inherit'],
        detached: true,
      },
    );
    this.child = child;
    // It prints its address when it listens, on a socket to which only `owner` may connect.
    // `--user` is not used: since p11-kit 0.25 it makes the server itself change the socket's
    // owner, which requires root.
    await once(child.stdout, 'data');
    if (users) await chown(this.socket, users.client, users.owner);
  }

  // Waits until the server has no connection. It forks one process for each, which ends the call of a
  // client that was killed.
  async idle(): Promise<void> {
    const pid = this.child!.pid!;
    const deadline = Date.now() + idleLimitMs;
    while ((await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).trim() !== '') {
      if (Date.now() > deadline) throw new Error('the server did not close its connections');
      await delay(5);
    }
  }

  // Stops answering until `resume`; the socket stays open.
  pause(): void {
    process.kill(-this.child!.pid!, 'SIGSTOP');
  }

  resume(): void {
    process.kill(-this.child!.pid!, 'SIGCONT');
  }

  async stop(): Promise<void> {
    const child = this.child;
    this.child = undefined;
    if (child?.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    // Kills the whole process group, because the server forks one process for each connection.
    process.kill(-child.pid!, 'SIGKILL');
    await exited;
  }

  private get socket(): string {
    return path.join(this.options.directory, 'socket');
  }
}
