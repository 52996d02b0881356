import type { Writable } from 'node:stream';

import { toJson } from '../own';

/** Answers are collected up to this length before a write: the size of a pipe on Linux. */
const GATHER_CHARACTERS = 65_536;

/** Error codes of a stream whose reader has closed its end. */
const READER_GONE = new Set(['EPIPE', 'ECONNRESET', 'ERR_STREAM_DESTROYED']);

/** Writes one JSON text per line. Answers of one turn of the event loop share one write. */
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

  /** Whether the output has closed. Later answers are dropped. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Why writing failed; undefined when the reader has only closed its end. */
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
      // Runs before the next I/O event, so answers of this turn are written together.
      process.nextTick(this.#flush);
    }
  }

  /** Removes the listeners. The stream stays open. */
  release(): void {
    // Pending writes of a closed stream still emit errors, which need a listener.
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
    // A stream that was already closed reports its error only here.
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
    // The store returned this value, so it is not an `invalid_params` error of the client.
    throw (error as Error).cause;
  }
}
