#!/usr/bin/env node
import { thisPackage } from '../this-package';
import { findCommand, parseArguments } from './arguments';
import { commandNames, loadCommand, unknownCommand } from './command-list';
import { Interruption, reportFailure, UsageError } from './failure';
import { commandHelp, overview } from './help';
import { Output } from './output';

/** Runs one command line and resolves to the process's exit code. */
async function run(argv: string[], output: Output, signal: AbortSignal): Promise<number> {
  const { name, rest } = findCommand(argv, commandNames);
  if (name === undefined) {
    const { flags } = parseArguments(rest, {}, []);
    return flags.has('version') ? printVersion(output) : help(output, overview());
  }
  // `device-key help sign` is `device-key sign --help`.
  if (name === 'help') return run(['--help', ...rest], output, signal);
  const command = loadCommand(name);
  if (!command) throw unknownCommand(name);
  try {
    const args = parseArguments(rest, command.options, command.positionals);
    if (args.flags.has('help')) return help(output, commandHelp(name, command));
    if (args.flags.has('version')) return printVersion(output);
    return await command.run({ args, output, signal });
  } catch (error) {
    if (error instanceof UsageError) error.command = name;
    throw error;
  }
}

function help(output: Output, text: string): number {
  output.result({ help: text }, text);
  return 0;
}

function printVersion(output: Output): number {
  output.result({ version: thisPackage.version }, thisPackage.version);
  return 0;
}

async function main(): Promise<void> {
  const argv = process.argv.slice(2);
  // Errors are JSON too, even if the rest of the command line is invalid.
  const terminator = argv.indexOf('--');
  const output = new Output(
    argv.slice(0, terminator < 0 ? undefined : terminator).includes('--json'),
  );
  // Ignore EPIPE: the reader, such as `head`, has closed the pipe.
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
    });
  }
  const interruption = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    // Once, so that a second signal ends the process immediately.
    process.once(name, () => {
      interruption.abort(new Interruption(name));
    });
  }
  try {
    process.exitCode = await run(argv, output, interruption.signal);
  } catch (error) {
    process.exitCode = reportFailure(error, output, interruption.signal);
  }
  // Do not wait for the hardware or for input after a signal.
  if (interruption.signal.aborted) process.exit();
}

void main();
