import type { Command } from '../command';
import { publicKeyTable } from '../key-table';
import { withStore } from '../store-session';

export const command: Command = {
  summary: "print a key's public key",
  usage: 'KEY_ID [OPTIONS]',
  description: `Prints the public key from the key's record, without the hardware. The public key
is the base64 of its DER SubjectPublicKeyInfo.`,
  options: {},
  positionals: ['KEY_ID'],
  examples: [
    'device-key public dk_tpm_… --json',
    'device-key public dk_tpm_… --json | jq -r .publicKeySpkiDerBase64 | base64 -d |',
    '    openssl pkey -pubin -inform der',
  ],

  async run(invocation) {
    const { args, output } = invocation;
    const [keyId = ''] = args.positionals;
    const key = await withStore(invocation, (store) => store.public({ keyId }));
    output.result(key, publicKeyTable(key));
    return 0;
  },
};
