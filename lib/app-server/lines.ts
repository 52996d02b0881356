import { isUtf8 } from 'node:buffer';

const NEWLINE = 0x0a;

/** The longest accepted line, in bytes, without its line end. */
export const MAX_LINE_BYTES = 2 ** 20;

export type Line = { text: string } | { fault: string };

/**
 * Splits a stream of bytes into lines. Chunks may end anywhere. Lines of white space only are skipped.
 * Buffers at most MAX_LINE_BYTES of an unfinished line.
 */
export class LineReader {
  // One growing buffer: a list of many small chunks would need far more memory than their bytes.
  #held = Buffer.alloc(0);
  #heldBytes = 0;
  /** Whether the rest of a line that was too long is being discarded. */
  #skipping = false;

  /** Yields the lines that end in `chunk`. Iterate to the end before the next call. */
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
        if (!this.#skipping) this.#hold(piece);
        return;
      }
      if (!this.#skipping) yield* read(this.#heldBytes === 0 ? piece : this.#completed(piece));
      this.#skipping = false;
      start = end + 1;
    }
  }

  /** Yields the last line, if it has no line end. */
  *end(): Generator<Line> {
    yield* read(this.#take());
  }

  #hold(piece: Buffer): void {
    const needed = this.#heldBytes + piece.length;
    if (needed > this.#held.length) {
      const larger = Buffer.allocUnsafe(Math.min(2 * needed, MAX_LINE_BYTES));
      this.#held.copy(larger, 0, 0, this.#heldBytes);
      this.#held = larger;
    }
    piece.copy(this.#held, this.#heldBytes);
    this.#heldBytes = needed;
  }

  #completed(piece: Buffer): Buffer {
    this.#hold(piece);
    return this.#take();
  }

  #take(): Buffer {
    const line = this.#held.subarray(0, this.#heldBytes);
    this.#held = Buffer.alloc(0);
    this.#heldBytes = 0;
    return line;
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
