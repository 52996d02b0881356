import type { DeviceKeyProtectionPolicy } from '../../../types/v2';
import { requiredOption } from '../arguments';
import type { Command } from '../command';
import { UsageError } from '../failure';
import { publicKeyTable } from '../key-table';
import { patiently, withStore } from '../store-session';

const policies: DeviceKeyProtectionPolicy[] = [
  'hardware_only',
  'allow_os_protected_nonextractable',
];

export const command: Command = {
  summary: 'make a key that cannot leave the hardware',
  usage: '--account ID --client ID [--policy POLICY] [OPTIONS]',
  description: `Makes an ECDSA P-256 key in this machine's secure hardware, permanently bound to one
account and one client, and prints its id and public key.`,
  options: {
    account: { value: 'ID', help: 'the account that the key will sign for' },
    client: { value: 'ID', help: 'the client that the key will sign for' },
    policy: { value: 'POLICY', help: `${policies.join(' or ')}; the former if not given` },
  },
  positionals: [],
  examples: ['device-key create --account user-1 --client laptop'],

  async run(invocation) {
    const { args, output, signal } = invocation;
    const policy = args.values.get('policy') ?? 'hardware_only';
    if (!isPolicy(policy)) throw new UsageError(`--policy: expected ${policies.join(' or ')}`);
    const params = {
      accountUserId: requiredOption(args, 'account'),
      clientId: requiredOption(args, 'client'),
      protectionPolicy: policy,
    };
    const key = await withStore(invocation, (store) =>
      patiently(invocation, store.create(params, { signal })),
    );
    output.result(key, publicKeyTable(key));
    return 0;
  },
};

function isPolicy(text: string): text is DeviceKeyProtectionPolicy {
  return (policies as string[]).includes(text);
}
