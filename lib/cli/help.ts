import type { Command } from './command';
import { commandNames, loadCommand } from './command-list';
import { commonOptions, type OptionSpec } from './options';
import { table } from './output';

/** What `device-key --help` prints. */
export function overview(): string {
  const commands = commandNames.map((name) => [`  ${name}`, loadCommand(name)?.summary ?? '']);
  return `Keys that never leave this machine's secure hardware.

Usage: device-key COMMAND [OPTIONS]

Commands:
${table(commands)}

Options of every command:
${optionLines(commonOptions)}

Exit codes:
  0    done (doctor: keys in hardware can be used; verify: the signature is valid)
  1    refused or failed; standard error has the reason
  2    the command line is invalid
  130  interrupted by Ctrl-C (143: by SIGTERM)

\`device-key help COMMAND\` shows details and examples.`;
}

/** What `device-key COMMAND --help` prints. */
export function commandHelp(name: string, command: Command): string {
  const own = Object.keys(command.options).length
    ? `\nOptions:\n${optionLines(command.options)}\n`
    : '';
  return `${`Usage: device-key ${name} ${command.usage}`.trimEnd()}

${command.description}
${own}
Options of every command:
${optionLines(commonOptions)}

${command.examples.length === 1 ? 'Example' : 'Examples'}:
${command.examples.map((example) => `  ${example}`).join('\n')}`;
}

function optionLines(options: Record<string, OptionSpec>): string {
  return table(
    Object.entries(options).map(([name, { value, help }]) => [
      `  --${name}${value === undefined ? '' : ` ${value}`}`,
      help,
    ]),
  );
}
