// Real database servers for tests, each in its own directory, on its own Unix socket.
import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** A server process with its directory. The kernel ends it with this process. */
abstract class Server {
  // Under /tmp, not TMPDIR: a socket's path must fit into 107 bytes.
  readonly directory = mkdtempSync('/tmp/dk-database-');
  #child: ChildProcess | undefined;

  abstract readonly socket: string;
  protected abstract command(more: string[]): [string, ...string[]];
  /** The signal that ends the server immediately, without waiting for clients. */
  protected readonly endSignal: NodeJS.Signals = 'SIGTERM';

  /** Starts the server; after `kill`, starts it again with the same files. */
  async start(...more: string[]): Promise<void> {
    const [command, ...args] = this.command(more);
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', command, ...args], { stdio: 'ignore' });
    this.#child = child;
    while (!(await this.isReady())) {
      if (child.exitCode !== null) throw new Error(`${command} does not start`);
      await delay(50);
    }
  }

  protected isReady(): Promise<boolean> {
    return accepts(this.socket);
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child?.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  }

  async stop(): Promise<void> {
    await this.kill(this.endSignal);
    rmSync(this.directory, { recursive: true, force: true });
  }
}

async function accepts(socketPath: string): Promise<boolean> {
  const socket = connect(socketPath);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** `redis-server`, with every write on the disk before it answers. */
export class RedisServer extends Server {
  readonly socket = path.join(this.directory, 'redis.sock');

  protected command(more: string[]): [string, ...string[]] {
    return [
      'redis-server',
      ...['--port', '0', '--unixsocket', this.socket, '--dir', this.directory],
      ...['--appendonly', 'yes', '--appendfsync', 'always', '--save', ''],
      ...['--maxmemory-policy', 'noeviction'],
      ...more,
    ];
  }
}

/** PostgreSQL, the newest version installed by Debian's packages. */
export class PostgresServer extends Server {
  readonly socket = path.join(this.directory, '.s.PGSQL.5432');
  readonly #data = path.join(this.directory, 'data');
  // PostgreSQL refuses to run as root; its package creates this user.
  readonly #asUser =
    process.getuid?.() === 0 ? ['--reuid=postgres', '--regid=postgres', '--clear-groups'] : [];
  protected override readonly endSignal = 'SIGINT';

  constructor() {
    super();
    mkdirSync(this.#data);
    chmodSync(this.directory, 0o755);
    if (this.#asUser.length > 0) {
      const id = (flag: string) =>
        Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
      for (const directory of [this.directory, this.#data])
        chownSync(directory, id('-u'), id('-g'));
    }
    const args = ['-D', this.#data, '-U', 'test', '--auth=trust', '--no-sync'];
    execFileSync('setpriv', [...this.#asUser, program('initdb'), ...args], {
      cwd: '/',
      stdio: 'pipe',
    });
  }

  /** The server listens before it can serve. */
  protected override isReady(): Promise<boolean> {
    const { status } = spawnSync(program('pg_isready'), ['-h', this.directory]);
    return Promise.resolve(status === 0);
  }

  protected command(more: string[]): [string, ...string[]] {
    const args = ['-D', this.#data, '-k', this.directory, '-c', 'listen_addresses='];
    return [
      'setpriv',
      ...this.#asUser,
      '--pdeathsig',
      'KILL',
      program('postgres'),
      ...args,
      ...more,
    ];
  }
}

function program(name: string): string {
  const versions = readdirSync('/usr/lib/postgresql').map(Number);
  return `/usr/lib/postgresql/${Math.max(...versions)}/bin/${name}`;
}
