import { readFile, stat } from 'node:fs/promises';

import type { Invocation } from './command';
import { abortable } from './abortable';
import { CommandError } from './failure';

// Much more than any payload or proof has.
const maxBytes = 1 << 20;

/**
 * Reads one JSON text from the file `name`; `-` is standard input. `what` names it in messages, which
 * never quote it.
 */
export async function readJson(
  name: string,
  what: string,
  { output, signal }: Invocation,
): Promise<unknown> {
  if (name === '-' && process.stdin.isTTY) {
    output.note(`reading the ${what} from the terminal; Ctrl-D ends it`);
  }
  const reading = name === '-' ? readStandardInput(what) : readNamed(name, what);
  const bytes = await abortable(reading, signal);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new CommandError('invalid_input', `the ${what} is not UTF-8 text`);
  }
  try {
    return JSON.parse(text) as unknown;
  } catch {
    // Without the cause: its message quotes the text.
    throw new CommandError(
      'invalid_input',
      text.trim() === ''
        ? `the ${what} is empty; expected one JSON object`
        : `the ${what} is not JSON; expected one object`,
    );
  }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

async function readNamed(name: string, what: string): Promise<Buffer> {
  try {
    if ((await stat(name)).size > maxBytes) throw tooLong(what);
    return await readFile(name);
  } catch (error) {
    if (error instanceof CommandError) throw error;
    throw new CommandError(
      'invalid_input',
      `cannot read the ${what} from ${name} (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`,
    );
  }
}

async function readStandardInput(what: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of process.stdin) {
    chunks.push(chunk as Buffer);
    length += (chunk as Buffer).length;
    if (length > maxBytes) throw tooLong(what);
  }
  return Buffer.concat(chunks);
}

function tooLong(what: string): CommandError {
  return new CommandError('invalid_input', `the ${what} is longer than ${maxBytes} bytes`);
}
