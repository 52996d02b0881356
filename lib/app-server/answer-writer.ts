import type { Writable } from 'node:stream';

import { toJson } from '../own';

/** As much as a pipe holds. More is not gathered for one write. */
const GATHER_CHARACTERS = 65_536;

/** What a stream says whose reader has gone. */
const READER_GONE = new Set(['EPIPE', 'ECONNRESET', 'ERR_STREAM_DESTROYED']);

/** Writes one JSON text a line; those of one turn of the event loop in one write. */
export class AnswerWriter {
  readonly #output: Writable;
  readonly #onChange: () => void;
  #gathered = '';
  #scheduled = false;
  #writing = 0;
  #full = false;
  #ended = false;
  #failure: Error | undefined;

  /** `onChange` is called when `ready`, `idle` or `ended` may have become true. */
  constructor(output: Writable, onChange: () => void) {
    this.#output = output;
    this.#onChange = onChange;
    output.on('error', this.#onError);
    output.on('close', this.#onEnd);
  }

  /** Whether the reader keeps up. */
  get ready(): boolean {
    return !this.#full;
  }

  /** Whether everything has been handed to the operating system. */
  get idle(): boolean {
    return this.#gathered === '' && this.#writing === 0;
  }

  /** Whether there is nobody to write to any more; what is sent is dropped. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Why writing failed, other than that the reader has gone. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** @throws TypeError when the answer cannot be written as JSON. */
  send(answer: object): void {
    if (this.#ended) return;
    this.#gathered += `${toText(answer)}\n`;
    if (this.#gathered.length > GATHER_CHARACTERS) {
      this.#flush();
    } else if (!this.#scheduled) {
      this.#scheduled = true;
      // Runs when the promises that are settled by now have all been seen to.
      process.nextTick(this.#flush);
    }
  }

  /** Lets go of the stream, which is left open. */
  release(): void {
    // The writes that have yet to fail need their listener.
    if (this.#ended) return;
    this.#output.off('error', this.#onError);
    this.#output.off('close', this.#onEnd);
  }

  readonly #flush = (): void => {
    this.#scheduled = false;
    if (this.#gathered === '' || this.#ended) return;
    const text = this.#gathered;
    this.#gathered = '';
    this.#writing += 1;
    if (!this.#output.write(text, this.#onWritten)) this.#full = true;
  };

  readonly #onWritten = (error?: Error | null): void => {
    this.#writing -= 1;
    // A stream that was closed before says so here alone.
    if (error) this.#onError(error);
    if (this.#writing > 0) return;
    this.#full = false;
    this.#onChange();
  };

  readonly #onError = (error: NodeJS.ErrnoException): void => {
    if (!READER_GONE.has(error.code ?? '')) this.#failure ??= error;
    this.#onEnd();
  };

  readonly #onEnd = (): void => {
    this.#ended = true;
    this.#gathered = '';
    this.#onChange();
  };
}

function toText(answer: object): string {
  try {
    return toJson(answer, 'answer');
  } catch (error) {
    // The store made this value, so it is not the client's `invalid_params`.
    throw (error as Error).cause;
  }
}
