// `p11-kit server`: runs a module in a process of another Unix user, behind a socket.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chown, rm } from 'node:fs/promises';
import path from 'node:path';

export const p11KitClient = '/usr/lib/x86_64-linux-gnu/pkcs11/p11-kit-client.so';

interface Options {
  directory: string; // for the socket; belongs to `owner`
  module: string;
  env: Record<string, string>;
  owner: number; // the uid that runs the module
  client: { uid: number }; // the only one that may connect
}

// Run by root, as a system service would be; see docs/pkcs11.md.
export class P11KitServer {
  private child: ChildProcess | undefined;

  private constructor(private readonly options: Options) {}

  static async start(options: Options): Promise<P11KitServer> {
    const server = new P11KitServer(options);
    await server.start();
    return server;
  }

  // For programs that are to reach it.
  get environment(): Record<string, string> {
    return { P11_KIT_SERVER_ADDRESS: `unix:path=${this.socket}` };
  }

  async start(): Promise<void> {
    const { directory, module, env, owner, client } = this.options;
    await rm(this.socket, { force: true });
    const child = spawn(
      'setpriv',
      [
        ...['--pdeathsig', 'KILL', '--reuid', `${owner}`, '--regid', `${owner}`, '--clear-groups'],
        ...['p11-kit', 'server', '--foreground', '--provider', module],
        ...['--name', this.socket, 'pkcs11:'],
      ],
      {
        cwd: directory,
        env: { PATH: process.env['PATH'], ...env },
        stdio: ['ignore', 'pipe', 'inherit'],
        detached: true,
      },
    );
    this.child = child;
    // It prints its address when it listens, on a socket that only `owner` may connect to. `--user` would
    // be in the way: since p11-kit 0.25 it makes the server itself change the socket's owner, which needs
    // root.
    await once(child.stdout, 'data');
    await chown(this.socket, client.uid, owner);
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
    // The whole process group: the server forks one process for each connection.
    process.kill(-child.pid!, 'SIGKILL');
    await exited;
  }

  private get socket(): string {
    return path.join(this.options.directory, 'socket');
  }
}
