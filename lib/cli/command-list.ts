import type { Command } from './command';
import { UsageError } from './failure';
import { nearest } from './nearest';

/** In the order of a key's life, then the rest. */
export const commandNames = [
  'doctor',
  'create',
  'public',
  'sign',
  'verify',
  'attest',
  'list',
  'delete',
  'dpop create',
  'dpop sign',
  'app-server',
  'self-test',
];

/** Loads only the requested command: loading the others would take time. */
export function loadCommand(name: string): Command | undefined {
  if (!commandNames.includes(name)) return undefined;
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- import() starts a second loader
  return (require(`./commands/${name.replace(' ', '-')}`) as { command: Command }).command;
}

export function unknownCommand(name: string): UsageError {
  const meant = nearest(name, commandNames);
  const hint = meant ? `did you mean ${meant}?` : `there are ${commandNames.join(', ')}`;
  return new UsageError(`there is no command ${JSON.stringify(name)}; ${hint}`);
}
