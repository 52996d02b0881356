import type { WriteStream } from 'node:tty';

/** The document that `--json` prints on standard error. */
export interface FailureDocument {
  code: string;
  message: string;
  platformStatus?: string;
}

/** Where a command's results go: standard output, for people or, with `--json`, for programs. */
export class Output {
  constructor(readonly json: boolean) {}

  /** The command's result: one JSON document, or `text`. */
  result(document: unknown, text: string): void {
    process.stdout.write(`${this.json ? JSON.stringify(document) : text}\n`);
  }

  /** Information besides the result. With `--json` it is part of the result. */
  note(text: string): void {
    if (!this.json) process.stderr.write(`device-key: ${oneLine(text)}\n`);
  }

  failure(failure: FailureDocument, more?: string): void {
    if (this.json) {
      process.stderr.write(`${JSON.stringify({ error: failure })}\n`);
      return;
    }
    const { red, dim } = painter(process.stderr);
    process.stderr.write(`${red('device-key:')} ${oneLine(failure.message)}\n`);
    if (more !== undefined) process.stderr.write(`${dim(`  ${oneLine(more)}`)}\n`);
  }
}

export type Paint = (text: string) => string;
export type Painter = Record<'bold' | 'dim' | 'red' | 'green' | 'yellow', Paint>;

/** Colours on a terminal (https://no-color.org), plain text elsewhere. */
export function painter(stream: Pick<WriteStream, 'isTTY'>): Painter {
  const coloured = stream.isTTY && !process.env.NO_COLOR && process.env.TERM !== 'dumb';
  const paint =
    (on: number, off: number): Paint =>
    (text) =>
      coloured ? `\x1b[${on}m${text}\x1b[${off}m` : text;
  return {
    bold: paint(1, 22),
    dim: paint(2, 22),
    red: paint(31, 39),
    green: paint(32, 39),
    yellow: paint(33, 39),
  };
}

/** A message on one line, because the messages of some drivers and libraries have several. */
export function oneLine(message: string): string {
  return printable(message.replace(/\s*[\t\r\n]+\s*/g, ' '));
}

/**
 * `text` exactly, on one line and without characters that control a terminal: names in records and
 * messages of drivers come from other sources.
 */
export function printable(text: string): string {
  return text.replace(
    // Control characters, format characters (the bidirectional overrides among them), separators.
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
}

/** Rows with aligned columns, separated by two spaces. Cells must be printable. */
export function table(rows: string[][]): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, cell.length);
    });
  }
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
