// Contenders as processes: for each line `<operation> <count>` they print a line of nanoseconds.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** Times `count` calls of `operation`, one after the other; in nanoseconds. */
export async function time(operation, count) {
  const times = [];
  for (let i = 0; i < count; i += 1) {
    const start = process.hrtime.bigint();
    await operation();
    times.push(Number(process.hrtime.bigint() - start));
  }
  return times;
}

/** Serves `operations` (functions by name) until standard input ends. */
export async function serve(operations) {
  for await (const line of createInterface({ input: process.stdin })) {
    const [name, count] = line.split(' ');
    console.log((await time(operations[name], Number(count))).join(' '));
  }
}

/** Ends a process by ending its standard input. */
export async function end(child) {
  const exited = child.exitCode === null && child.signalCode === null && once(child, 'exit');
  child.stdin.end();
  await exited;
}

export function startWorker(command, args, env = {}) {
  const child = spawn(command, args, {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    pid: child.pid,
    async run(operation, count) {
      child.stdin.write(`${operation} ${count}\n`);
      const { value, done } = await lines.next();
      if (done) throw new Error(`${command} ${args.join(' ')} ended`);
      return value.trim().split(' ').map(Number);
    },
    stop: () => end(child),
  };
}
