import { isUtf8 } from 'node:buffer';

const NEWLINE = 0x0a;

/** The longest line that is read, in bytes, its end not counted. */
export const MAX_LINE_BYTES = 2 ** 20;

export type Line = { text: string } | { fault: string };

/**
 * Makes lines of a stream of bytes, whatever way it is cut into chunks. Lines of white space alone
 * are left out. Holds no more than MAX_LINE_BYTES of an unfinished line.
 */
export class LineReader {
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  /** The rest of a line that was too long is on its way. */
  #skipping = false;

  /** The lines that end in `chunk`. To be iterated to the end before the next call. */
  *push(chunk: Buffer): Generator<Line> {
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(NEWLINE, start);
      const piece = chunk.subarray(start, end < 0 ? undefined : end);
      if (!this.#skipping && this.#heldBytes + piece.length > MAX_LINE_BYTES) {
        this.#take();
        this.#skipping = true;
        yield { fault: `the line is longer than ${MAX_LINE_BYTES} bytes` };
      }
      if (end < 0) {
        if (!this.#skipping && piece.length > 0) this.#hold(piece);
        return;
      }
      if (!this.#skipping) {
        const line = this.#heldBytes === 0 ? piece : Buffer.concat([...this.#take(), piece]);
        yield* read(line);
      }
      this.#skipping = false;
      start = end + 1;
    }
  }

  /** The last line, which has no end of its own. */
  *end(): Generator<Line> {
    yield* read(Buffer.concat(this.#take()));
  }

  #hold(piece: Buffer): void {
    this.#held.push(piece);
    this.#heldBytes += piece.length;
  }

  #take(): Uint8Array[] {
    const held = this.#held;
    this.#held = [];
    this.#heldBytes = 0;
    return held;
  }
}

function* read(line: Buffer): Generator<Line> {
  if (!isUtf8(line)) {
    yield { fault: 'the line is not UTF-8' };
    return;
  }
  const text = line.toString();
  // The carriage return of a CRLF is white space to JSON.
  if (!/^[ \t\r]*$/.test(text)) yield { text };
}
