import { verifyDeviceKeySignature, type DeviceKeySignature } from '../../verify';
import type { Command } from '../command';
import { readJson } from '../input';
import { printable } from '../output';

export const command: Command = {
  summary: 'verify a signature, without the hardware',
  usage: '[--proof FILE|-] [OPTIONS]',
  description: `Verifies the signature of a proof and prints the signed bytes. A proof is a JSON object
with publicKeySpkiDerBase64, signedPayloadBase64, signatureDerBase64 and algorithm: the
joined output of \`public\` and \`sign\`. A valid signature does not show that the proof is
the expected one, has not expired, and is new: a backend checks that with
verifyDeviceKeyProof of node-device-key/verify.`,
  options: { proof: { value: 'FILE', help: 'the proof; - or nothing is standard input' } },
  positionals: [],
  examples: [
    'device-key verify --proof proof.json',
    '{ device-key public "$KEY" --json; device-key sign "$KEY" --payload p.json --json; } |',
    '    jq -s add | device-key verify',
  ],

  async run(invocation) {
    const { args, output } = invocation;
    const source = args.values.get('proof') ?? '-';
    const proof = (await readJson(source, 'proof', invocation)) as DeviceKeySignature;
    const bytes = verifyDeviceKeySignature(proof);
    const signedPayload = new TextDecoder().decode(bytes);
    output.result({ verified: true, signedPayload }, `verified: ${printable(signedPayload)}`);
    return 0;
  },
};
