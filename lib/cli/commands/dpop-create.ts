import { requiredOption } from '../arguments';
import type { Command } from '../command';
import { publicKeyTable } from '../key-table';
import { table } from '../output';
import { isPolicy, policies, policyError } from '../policy';
import { patiently, withStore } from '../store-session';

export const command: Command = {
  summary: 'make a key that signs only DPoP proofs',
  usage: '--client ID --origins ORIGIN[,ORIGIN...] [--policy POLICY] [OPTIONS]',
  description: `Makes an ECDSA P-256 key in this machine's secure hardware for DPoP proofs (RFC 9449), bound
permanently to one OAuth client and to the origins of its servers. Prints its id, its public
key and its thumbprint (jkt), for the dpop_jkt of an authorization request.`,
  options: {
    client: { value: 'ID', help: 'the OAuth client that the key is for' },
    origins: {
      value: 'ORIGINS',
      help: 'the origins of its proofs, such as https://as.example.com',
    },
    policy: { value: 'POLICY', help: `${policies.join(' or ')}; default: the first` },
  },
  positionals: [],
  examples: [
    'device-key dpop create --client app --origins https://as.example.com,https://rs.example.com',
  ],

  async run(invocation) {
    const { args, output, signal } = invocation;
    const policy = args.values.get('policy') ?? 'hardware_only';
    if (!isPolicy(policy)) throw policyError();
    const params = {
      clientId: requiredOption(args, 'client'),
      origins: requiredOption(args, 'origins').split(','),
      protectionPolicy: policy,
    };
    const key = await withStore(invocation, (store) =>
      patiently(invocation, store.createDpopKey(params, { signal })),
    );
    output.result(key, `${publicKeyTable(key)}\n${table([['thumbprint', key.jkt]])}`);
    return 0;
  },
};
