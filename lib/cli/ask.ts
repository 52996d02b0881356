import { once } from 'node:events';
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';

import type { Pkcs11PinQuestion } from '../store';
import { abortable } from './abortable';
import { printable } from './output';

let questions = 0;

/** Whether a question at the terminal is waiting for its answer. */
export function isAsking(): boolean {
  return questions > 0;
}

/** The answer of the person at the terminal; empty if they close it. */
export function ask(question: string, signal: AbortSignal): Promise<string> {
  return readAnswer(question, process.stderr, signal);
}

/** Asks for a token's PIN, which is not shown while it is typed. */
export async function askForPin(token: Pkcs11PinQuestion, signal: AbortSignal): Promise<string> {
  if (token.lastPinWasWrong) process.stderr.write('the last PIN was wrong\n');
  if (token.finalTry) process.stderr.write('one more wrong PIN locks the token\n');
  const name = printable(token.label || token.uri);
  try {
    return await readAnswer(`PIN of the token "${name}": `, nowhere, signal);
  } finally {
    process.stderr.write('\n');
  }
}

/** The output for readline, which shows typed characters by writing them to its output. */
const nowhere = new Writable({
  write: (_chunk, _encoding, done) => {
    done();
  },
});

async function readAnswer(
  question: string,
  echo: NodeJS.WritableStream,
  signal: AbortSignal,
): Promise<string> {
  // From here on the terminal does not show typed characters. The question is written after this.
  const terminal = createInterface({ input: process.stdin, output: echo, terminal: true });
  // In the terminal's raw mode Ctrl-C and Ctrl-D are ordinary keys; Ctrl-D closes the terminal.
  terminal.once('SIGINT', () => process.kill(process.pid, 'SIGINT'));
  ++questions;
  try {
    const closed = once(terminal, 'close').then(() => '');
    const answer = terminal.question(question);
    if (echo === nowhere) process.stderr.write(question);
    return await abortable(Promise.race([answer, closed]), signal);
  } finally {
    --questions;
    terminal.close();
  }
}
