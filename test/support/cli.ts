// The command line as its users run it: in a new process, with its own environment.
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';

import { essentialEnvironment, onWindows, scratchPrefix } from './platform';

export const binary = path.join(__dirname, '../../dist/cli/main.js');

export interface CliResult {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface CliOptions {
  env?: NodeJS.ProcessEnv;
  // The contents of standard input; empty by default.
  input?: string;
  // A program and its arguments that run the command line, such as setpriv.
  under?: string[];
  // Another copy of the command line.
  binary?: string;
}

// A home directory, and the command line in it. It knows only the TPM and the tokens that `env`
// names.
export class CliUser {
  private constructor(readonly home: string) {}

  static async create(): Promise<CliUser> {
    return new CliUser(await mkdtemp(`${scratchPrefix}cli-`));
  }

  get store(): string {
    return path.join(this.home, onWindows ? 'AppData/Local' : '.local/share', 'device-keys');
  }

  async run(args: string[], options: CliOptions = {}): Promise<CliResult> {
    const child = this.spawn(args, options);
    child.stdin.on('error', () => undefined); // a command may end without reading it
    child.stdin.end(options.input ?? '');
    return ended(child);
  }

  // The only document on standard output.
  async json(args: string[], options: CliOptions = {}): Promise<unknown> {
    const { code, stdout, stderr } = await this.run([...args, '--json'], options);
    if (stderr !== '') throw new Error(`exit code ${code}: ${stderr}`);
    return JSON.parse(stdout);
  }

  // The error on standard error.
  async jsonError(args: string[], options: CliOptions = {}): Promise<CliError> {
    const { stdout, stderr } = await this.run([...args, '--json'], options);
    if (stdout !== '') throw new Error(`no error: ${stdout}`);
    return (JSON.parse(stderr) as { error: CliError }).error;
  }

  spawn(
    args: string[],
    { env, under = [], ...options }: CliOptions,
  ): ChildProcessWithoutNullStreams {
    const [program = '', ...rest] = [...under, process.execPath, options.binary ?? binary, ...args];
    return spawn(program, rest, {
      env: { ...essentialEnvironment, HOME: this.home, USERPROFILE: this.home, ...env },
      stdio: 'pipe',
    });
  }

  // Runs on a new terminal: input is typed on it, and output is the terminal's screen.
  spawnOnTerminal(args: string[], env: NodeJS.ProcessEnv = {}): ChildProcessWithoutNullStreams {
    const quoted = [process.execPath, binary, ...args].map((word) => `'${word}'`).join(' ');
    return spawn('script', ['--quiet', '--return', '--command', quoted, '/dev/null'], {
      env: { ...essentialEnvironment, HOME: this.home, TERM: 'xterm', SHELL: '/bin/sh', ...env },
      stdio: 'pipe',
    });
  }

  async remove(): Promise<void> {
    await rm(this.home, { recursive: true });
  }
}

export interface CliError {
  code: string;
  message: string;
  platformStatus?: string;
}

export async function ended(child: ChildProcessWithoutNullStreams): Promise<CliResult> {
  const texts = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => (texts[name] += text));
  }
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, ...texts };
}

// Resolves when `text` has appeared.
export async function shown(child: ChildProcessWithoutNullStreams, text: string): Promise<void> {
  let soFar = '';
  await new Promise<void>((resolve, reject) => {
    const look = (chunk: string | Buffer) => {
      soFar += chunk.toString();
      if (soFar.includes(text)) resolve();
    };
    child.stdout.on('data', look);
    child.stderr.on('data', look);
    child.once('close', () => reject(new Error(`ended without "${text}": ${soFar}`)));
  });
}

// A valid payload for the next ten minutes.
export function connectionPayload(accountUserId: string, clientId: string): object {
  return {
    type: 'remoteControlClientConnection',
    nonce: randomBytes(32).toString('base64url'),
    audience: 'remote_control_client_websocket',
    sessionId: 'session-1',
    targetOrigin: 'https://chatgpt.com',
    targetPath: '/api/codex/remote/control/client',
    accountUserId,
    clientId,
    tokenExpiresAt: Math.floor(Date.now() / 1000) + 600,
    tokenSha256Base64url: randomBytes(32).toString('base64url'),
    scopes: ['remote_control_controller_websocket'],
  };
}

// Runs a program without the privilege of ignoring permissions, which root has.
export const withoutPrivileges =
  process.getuid?.() === 0
    ? ['setpriv', '--bounding-set', '-dac_override,-dac_read_search', '--inh-caps', '-all']
    : [];
