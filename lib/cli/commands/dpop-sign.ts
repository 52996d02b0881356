import type { DpopSignParams } from '../../dpop/types';
import type { Command } from '../command';
import { UsageError } from '../failure';
import { isObject, readJson } from '../input';
import { patiently, withStore } from '../store-session';

export const command: Command = {
  summary: 'make a DPoP proof for one HTTP request',
  usage: 'KEY_ID [--request FILE|-] [OPTIONS]',
  description: `Makes a DPoP proof (RFC 9449) for a request in JSON: htm (the method) and htu (the URL), and
optionally nonce, accessToken or accessTokenSha256Base64url, and authorizationCode. Reads
tokens from a file or a pipe, because other users can see command lines. Prints the value
of the DPoP header.`,
  options: { request: { value: 'FILE', help: 'the request; - or nothing is standard input' } },
  positionals: ['KEY_ID'],
  examples: [
    `echo '{"htm":"POST","htu":"https://as.example.com/token"}' | device-key dpop sign dk_tpm_…`,
    'device-key dpop sign dk_tpm_… --request request.json --json | jq -r .proof',
  ],

  async run(invocation) {
    const { args, output, signal } = invocation;
    const [keyId = ''] = args.positionals;
    const source = args.values.get('request') ?? '-';
    const request = await readJson(source, 'request', invocation);
    if (!isObject(request)) throw new UsageError('the request: expected a JSON object');
    // The store's decoder checks the members.
    const params = { ...request, keyId } as unknown as DpopSignParams;
    const proof = await withStore(invocation, (store) =>
      patiently(invocation, store.signDpop(params, { signal })),
    );
    output.result(proof, proof.proof);
    return 0;
  },
};
