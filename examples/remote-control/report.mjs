// @ts-check
/**
 * The output of the demonstration: one line per step as it happens, or one JSON document at the
 * end.
 *
 * @typedef {{ number: number, section: string, title: string, ok: boolean, milliseconds: number,
 *             detail: string }} Step
 * @typedef {{ code?: string, message: string, platformStatus?: string, causes: string[] }} Failure
 */

const STEP_TIMEOUT_MS = 60_000; // a discrete TPM can take seconds to make a key
const TITLE_WIDTH = 47;

/** A step with a wrong result. */
export class StepFailed extends Error {
  name = 'StepFailed';
  code = 'step_failed';
}

/** @param {unknown} condition @param {string} otherwise @returns {asserts condition} */
export function check(condition, otherwise) {
  if (!condition) throw new StepFailed(otherwise);
}

export class Report {
  /** @type {Step[]} */
  steps = [];
  #section = '';
  #title = '';
  #tpm = '';
  #json;
  #colour;

  /** @param {{ json: boolean }} options */
  constructor({ json }) {
    this.#json = json;
    this.#colour = Boolean(process.stdout.isTTY && !process.env.NO_COLOR);
  }

  /** @param {string} title @param {string} tpm which TPM, and what it protects */
  begin(title, tpm) {
    this.#title = title;
    this.#tpm = tpm;
    this.#print(`\n${this.#paint('1', title)}\n${this.#paint('33', `TPM: ${tpm}`)}`);
  }

  /** @param {string} title */
  section(title) {
    this.#section = title;
    this.#print(`\n${this.#paint('1', title)}`);
  }

  /**
   * Runs one step. The step passes if `run` returns. Returns its result, and `detail` converts that
   * into the text at the end of the line. Only `run` is timed.
   *
   * @template T
   * @param {string} title
   * @param {() => Promise<T> | T} run
   * @param {(result: T) => string} detail
   * @returns {Promise<T>}
   */
  async step(title, run, detail) {
    const started = performance.now();
    /** @type {NodeJS.Timeout | undefined} */
    let timer;
    try {
      const tooLong = new Promise((_, reject) => {
        timer = setTimeout(
          () => reject(new StepFailed(`not done after ${STEP_TIMEOUT_MS / 1000} s`)),
          STEP_TIMEOUT_MS,
        );
      });
      const result = /** @type {T} */ (await Promise.race([run(), tooLong]));
      this.#finish(title, true, performance.now() - started, detail(result));
      return result;
    } catch (error) {
      this.#finish(title, false, performance.now() - started, describe(error).message);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** @param {string} title @param {boolean} ok @param {number} milliseconds @param {string} detail */
  #finish(title, ok, milliseconds, detail) {
    const number = this.steps.length + 1;
    this.steps.push({
      number,
      section: this.#section,
      title,
      ok,
      milliseconds: Math.round(milliseconds * 1000) / 1000,
      detail,
    });
    const mark = ok ? this.#paint('32', '✓') : this.#paint('31', '✗');
    const label = `${String(number).padStart(2, '0')} ${title.padEnd(TITLE_WIDTH)}`;
    const time = this.#paint('2', `${milliseconds.toFixed(1).padStart(8)} ms`);
    this.#print(`  ${mark} ${label} ${time}   ${detail}`);
  }

  /** @param {string} summary */
  succeed(summary) {
    this.#print(`\n${this.#paint('1;32', summary)}\n`);
    this.#printJson({ ok: true });
  }

  /** @param {unknown} error */
  fail(error) {
    const failure = describe(error);
    if (!this.#json) {
      const lines = [`failed: ${failure.code ? `${failure.code}: ` : ''}${failure.message}`];
      if (failure.platformStatus) lines.push(`  platform status: ${failure.platformStatus}`);
      for (const cause of failure.causes) lines.push(`  caused by: ${cause}`);
      process.stderr.write(`\n${lines.join('\n')}\n`);
    }
    this.#printJson({ ok: false, error: failure });
  }

  /** @param {{ ok: boolean, error?: Failure }} outcome */
  #printJson(outcome) {
    if (!this.#json) return;
    const document = { title: this.#title, tpm: this.#tpm, ...outcome, steps: this.steps };
    process.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
  }

  /** @param {string} text */
  #print(text) {
    if (!this.#json) process.stdout.write(`${text}\n`);
  }

  /** @param {string} style an SGR parameter @param {string} text */
  #paint(style, text) {
    return this.#colour ? `\x1b[${style}m${text}\x1b[0m` : text;
  }
}

/** @param {unknown} error @returns {Failure} */
function describe(error) {
  if (!(error instanceof Error)) return { message: String(error), causes: [] };
  const { code, platformStatus } = /** @type {{ code?: string, platformStatus?: string }} */ (
    /** @type {unknown} */ (error)
  );
  const causes = [];
  for (let cause = error.cause; cause; cause = cause instanceof Error ? cause.cause : undefined) {
    causes.push(cause instanceof Error ? cause.message : String(cause));
  }
  return {
    ...(code && { code }),
    message: error.message,
    ...(platformStatus && { platformStatus: String(platformStatus) }),
    causes,
  };
}
