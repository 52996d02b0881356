import { parseArgs } from 'node:util';

import { UsageError } from './failure';
import { nearest } from './nearest';
import { commonOptions, type OptionSpec } from './options';

/** A parsed command line. */
export interface Arguments {
  /** Options that take a value, by name. */
  values: ReadonlyMap<string, string>;
  /** Options that take none. */
  flags: ReadonlySet<string>;
  /** The positional arguments, by the names in the command's definition. */
  positionals: readonly string[];
}

/** The value of a required option. */
export function requiredOption(args: Arguments, name: string): string {
  const value = args.values.get(name);
  if (value === undefined) throw new UsageError(`--${name} is missing`);
  return value;
}

/**
 * The command's name, which may follow common options, and the remaining arguments. A name of two
 * words is one of `names`.
 */
export function findCommand(
  argv: string[],
  names: readonly string[],
): { name: string | undefined; rest: string[] } {
  const words = tokenize(argv, commonOptions).filter((token) => token.kind === 'positional');
  const [first, second] = words;
  if (!first) return { name: undefined, rest: argv };
  const both = second && `${first.value} ${second.value}`;
  const isBoth = both !== undefined && names.includes(both);
  const used = [first.index, ...(isBoth ? [second?.index] : [])];
  return {
    name: isBoth ? both : first.value,
    rest: argv.filter((_, index) => !used.includes(index)),
  };
}

/**
 * @throws UsageError with the error in the command line and, if possible, the option that was
 * probably meant.
 */
export function parseArguments(
  argv: string[],
  ownOptions: Record<string, OptionSpec>,
  names: readonly string[],
): Arguments {
  const options = { ...commonOptions, ...ownOptions };
  const values = new Map<string, string>();
  const flags = new Set<string>();
  const positionals: string[] = [];
  for (const token of tokenize(argv, options)) {
    if (token.kind === 'positional') positionals.push(token.value);
    if (token.kind !== 'option') continue;
    const { name, rawName, value, inlineValue } = token;
    const option = Object.hasOwn(options, name) ? options[name] : undefined;
    if (!option) throw unknownOption(rawName, Object.keys(options));
    if (option.value === undefined) {
      if (value !== undefined) throw new UsageError(`${rawName} takes no value`);
      flags.add(name);
      continue;
    }
    // In `--payload --json` the value was probably forgotten.
    if (value === undefined || (!inlineValue && /^-./.test(value))) {
      throw new UsageError(`${rawName} needs a value: ${rawName} ${option.value}`);
    }
    if (values.has(name)) throw new UsageError(`${rawName} is given twice`);
    values.set(name, value);
  }
  // With --help or --version, arguments may be missing.
  if (!flags.has('help') && !flags.has('version')) {
    const missing = names[positionals.length];
    if (missing !== undefined) throw new UsageError(`${missing} is missing`);
    if (positionals.length > names.length) throw new UsageError('there are too many arguments');
  }
  return { values, flags, positionals };
}

function tokenize(argv: string[], options: Record<string, OptionSpec>) {
  const { tokens } = parseArgs({
    args: argv,
    options: Object.fromEntries(
      Object.entries(options).map(([name, { value }]) => [
        name,
        {
          type: value === undefined ? ('boolean' as const) : ('string' as const),
          ...(name === 'help' && { short: 'h' }),
          ...(name === 'version' && { short: 'V' }),
        },
      ]),
    ),
    allowPositionals: true,
    // Our own messages also suggest the option that was meant.
    strict: false,
    tokens: true,
  });
  return tokens;
}

function unknownOption(rawName: string, names: string[]): UsageError {
  const meant = nearest(rawName.replace(/^-+/, ''), names);
  const hint = meant ? `did you mean --${meant}?` : '--help lists the options';
  return new UsageError(`there is no option ${JSON.stringify(rawName)}; ${hint}`);
}
