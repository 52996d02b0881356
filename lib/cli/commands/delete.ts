import type { DeviceKeyStore } from '../../store';
import { ask } from '../ask';
import type { Command } from '../command';
import { CommandError, UsageError } from '../failure';
import { printable } from '../output';
import { patiently, withStore } from '../store-session';

export const command: Command = {
  summary: 'delete a key from this machine',
  usage: 'KEY_ID [--yes] [OPTIONS]',
  description: `Deletes a key from this machine. On a terminal it asks first; without a terminal, and with
--json, --yes is required. A copy of the key's record, such as a backup, signs again when it
is restored on this machine: to revoke a key, remove it at the backend.`,
  options: { yes: { help: 'do not ask' } },
  positionals: ['KEY_ID'],
  examples: ['device-key delete dk_tpm_… --yes'],

  async run(invocation) {
    const { args, output, signal } = invocation;
    const [keyId = ''] = args.positionals;
    const confirmed = args.flags.has('yes');
    if (!confirmed && (output.json || !process.stdin.isTTY || !process.stderr.isTTY)) {
      throw new UsageError('deleting a key needs a confirmation: give --yes');
    }
    await withStore(invocation, async (store) => {
      if (!confirmed) await confirm(keyId, store, signal);
      await patiently(invocation, store.delete({ keyId }));
    });
    output.result({ keyId, deleted: true }, `deleted ${keyId}`);
    return 0;
  },
};

async function confirm(keyId: string, store: DeviceKeyStore, signal: AbortSignal): Promise<void> {
  // Rejects for a missing key, before the user is asked to confirm.
  await store.public({ keyId });
  const key = (await store.list()).find((listed) => listed.keyId === keyId);
  const whose =
    key && 'accountUserId' in key && key.accountUserId !== null
      ? ` of ${key.accountUserId} on ${key.clientId ?? '?'}`
      : '';
  const question = printable(`Delete the key ${keyId}${whose}? [y/N] `);
  const answer = await ask(question, signal);
  if (!/^y(es)?$/i.test(answer.trim()))
    throw new CommandError('not_confirmed', 'nothing was deleted');
}
