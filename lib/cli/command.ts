import type { Arguments } from './arguments';
import type { OptionSpec } from './options';
import type { Output } from './output';

export interface Invocation {
  args: Arguments;
  output: Output;
  /** Aborted by Ctrl-C. */
  signal: AbortSignal;
}

export interface Command {
  /** One line, for the overview. */
  summary: string;
  /** The arguments after the command's name. */
  usage: string;
  /** Paragraphs of at most 80 columns. */
  description: string;
  options: Record<string, OptionSpec>;
  /** The names of the arguments, which are all required. */
  positionals: string[];
  /** Command lines that can be pasted, except for the values in them. */
  examples: string[];
  /** Resolves to the exit code. Failures are thrown. */
  run(invocation: Invocation): Promise<number>;
}
