import type { Command } from '../command';
import { publicKeyTable } from '../key-table';
import { withStore } from '../store-session';

export const command: Command = {
  summary: 'print the public half of a key',
  usage: 'KEY_ID [OPTIONS]',
  description: `Prints a key's public half from its record; the hardware is not asked. The public key
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
