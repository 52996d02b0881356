import type { DeviceKeySignPayload } from '../../../types/v2';
import type { Command } from '../command';
import { readJson } from '../input';
import { table } from '../output';
import { patiently, withStore } from '../store-session';

export const command: Command = {
  summary: 'sign a payload with a key',
  usage: 'KEY_ID [--payload FILE|-] [OPTIONS]',
  description: `Signs one of the two payloads of the device/key protocol, as JSON. Every rule about the
payload is checked first: arbitrary bytes cannot be signed. The result contains the exact
signed bytes; verifiers check these.`,
  options: { payload: { value: 'FILE', help: 'the payload; - or nothing is standard input' } },
  positionals: ['KEY_ID'],
  examples: [
    'device-key sign dk_tpm_… --payload payload.json --json',
    'fetch-payload | device-key sign dk_tpm_… --json',
  ],

  async run(invocation) {
    const { args, output, signal } = invocation;
    const [keyId = ''] = args.positionals;
    const source = args.values.get('payload') ?? '-';
    // Any JSON value: the store's decoder decides whether it is a payload.
    const payload = (await readJson(source, 'payload', invocation)) as DeviceKeySignPayload;
    const proof = await withStore(invocation, (store) =>
      patiently(invocation, store.sign({ keyId, payload }, { signal })),
    );
    output.result(
      proof,
      table([
        ['algorithm', proof.algorithm],
        ['signature', proof.signatureDerBase64],
        ['signed bytes', proof.signedPayloadBase64],
      ]),
    );
    return 0;
  },
};
