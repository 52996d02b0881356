import type { DeviceKeyInfo, DeviceKeyUnreadable } from '../../store';
import type { Command } from '../command';
import { painter, printable, table } from '../output';
import { withStore } from '../store-session';

export const command: Command = {
  summary: 'list all keys of this user',
  usage: '[OPTIONS]',
  description: `Lists all keys, and all records that cannot be read. Does not use the hardware: only signing
shows whether a key can still be used.`,
  options: {},
  positionals: [],
  examples: ['device-key list', "device-key list --json | jq -r '.keys[].keyId'"],

  async run(invocation) {
    const { output } = invocation;
    const listed = await withStore(invocation, (store) => store.list());
    const keys: DeviceKeyInfo[] = [];
    const unreadable: DeviceKeyUnreadable[] = [];
    for (const key of listed) {
      if ('error' in key) unreadable.push(key);
      else keys.push(key);
    }
    output.result({ keys, unreadable }, keys.length === 0 ? 'no keys' : keyTable(keys));
    for (const { error } of unreadable) output.note(error.message);
    return 0;
  },
};

function keyTable(keys: DeviceKeyInfo[]): string {
  const { bold } = painter(process.stdout);
  const rows = keys.map((key) => [
    key.keyId,
    key.use,
    printable(key.accountUserId ?? '-'),
    printable(key.clientId ?? '-'),
    isoTime(key.createdAt),
    key.protectionClass,
  ]);
  const [header = '', ...lines] = table([
    ['KEY ID', 'USE', 'ACCOUNT', 'CLIENT', 'CREATED', 'PROTECTION'],
    ...rows,
  ]).split('\n');
  return [bold(header), ...lines].join('\n');
}

/** To the second. A record can contain any number. */
function isoTime(unixSeconds: number): string {
  const date = new Date(unixSeconds * 1000);
  return Number.isNaN(date.getTime()) ? '?' : date.toISOString().replace('.000Z', 'Z');
}
