import { requiredOption } from '../arguments';
import type { Command } from '../command';
import { publicKeyTable } from '../key-table';
import { isPolicy, policies, policyError } from '../policy';
import { patiently, withStore } from '../store-session';

export const command: Command = {
  summary: 'make a key that cannot leave the hardware',
  usage: '--account ID --client ID [--policy POLICY] [OPTIONS]',
  description: `Makes an ECDSA P-256 key in this machine's secure hardware, permanently bound to one
account and one client, and prints its id and public key.`,
  options: {
    account: { value: 'ID', help: 'the account that the key signs for' },
    client: { value: 'ID', help: 'the client that the key signs for' },
    policy: { value: 'POLICY', help: `${policies.join(' or ')}; default: the first` },
  },
  positionals: [],
  examples: ['device-key create --account user-1 --client laptop'],

  async run(invocation) {
    const { args, output, signal } = invocation;
    const policy = args.values.get('policy') ?? 'hardware_only';
    if (!isPolicy(policy)) throw policyError();
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
