// Child processes that run a script of test/node/children/ and print JSON.
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';

import { essentialEnvironment, tied } from './platform';

const root = path.join(__dirname, '../..');

export interface ChildResult<Output> {
  exitCode: number | null;
  signal: NodeJS.Signals | null;
  // The last line of standard output, parsed; null if there is none.
  output: Output;
  stderr: string;
  // Milliseconds from the start of the process to its end.
  elapsedMs: number;
}

export interface ChildOptions {
  // In addition to `essentialEnvironment`.
  env?: Record<string, string>;
  nodeArguments?: string[];
  // A child that has not ended by then is killed; the result's `signal` shows that.
  limitMs?: number;
}

export class Child<Output> {
  readonly result: Promise<ChildResult<Output>>;
  private readonly process: ChildProcessByStdio<null, Readable, Readable>;
  private stdout = '';

  // Passes `input` to the script as JSON in process.argv[2].
  constructor(script: string, input: unknown = {}, options: ChildOptions = {}) {
    const { env = {}, nodeArguments = [], limitMs = 30_000 } = options;
    const file = path.join(root, 'test/node/children', script);
    const started = performance.now();
    const [program, ...args] = tied([process.execPath, ...nodeArguments, file]);
    this.process = spawn(program, [...args, JSON.stringify(input)], {
      cwd: root,
      env: { ...essentialEnvironment, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: limitMs,
      killSignal: 'SIGKILL',
    });
    this.result = this.collect(started);
    // The caller that awaits the result gets the error.
    this.result.catch(() => undefined);
  }

  // Waits until the child has printed `text` or has ended.
  async printed(text: string): Promise<void> {
    while (!this.stdout.includes(text) && !this.process.stdout.readableEnded) {
      await Promise.race([once(this.process.stdout, 'data'), once(this.process.stdout, 'end')]);
    }
  }

  get pid(): number {
    if (this.process.pid === undefined) throw new Error('the child could not be started');
    return this.process.pid;
  }

  kill(signal: NodeJS.Signals): void {
    this.process.kill(signal);
  }

  private async collect(started: number): Promise<ChildResult<Output>> {
    this.process.stdout.setEncoding('utf8').on('data', (chunk: string) => (this.stdout += chunk));
    const [stderr, [exitCode, signal]] = await Promise.all([
      text(this.process.stderr),
      once(this.process, 'close') as Promise<[number | null, NodeJS.Signals | null]>,
    ]);
    const elapsedMs = performance.now() - started;
    const lastLine = this.stdout.trim().split('\n').at(-1);
    const output = (lastLine ? JSON.parse(lastLine) : null) as Output;
    return { exitCode, signal, output, stderr, elapsedMs };
  }
}

export async function runChild<Output>(
  script: string,
  input?: unknown,
  options?: ChildOptions,
): Promise<ChildResult<Output>> {
  return new Child<Output>(script, input, options).result;
}
