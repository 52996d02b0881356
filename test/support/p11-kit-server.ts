// `p11-kit server`: runs a module as another Unix user, and offers it at a socket.
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
  client: { uid: number }; // the only user that may connect
}

// Started by root, like a system service; see docs/pkcs11.md.
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
    // It prints its address when it listens, on a socket to which only `owner` may connect.
    // `--user` is not used: since p11-kit 0.25 it makes the server itself change the socket's
    // owner, which requires root.
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
    // Kills the whole process group, because the server forks one process for each connection.
    process.kill(-child.pid!, 'SIGKILL');
    await exited;
  }

  private get socket(): string {
    return path.join(this.options.directory, 'socket');
  }
}
