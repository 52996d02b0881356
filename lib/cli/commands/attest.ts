import type {
  DeviceKeyActivateAttestationParams,
  DeviceKeyAttestation,
} from '../../../types/extensions';
import type { Command, Invocation } from '../command';
import { CommandError, UsageError } from '../failure';
import { readJson } from '../input';
import { table } from '../output';
import { patiently, withStore } from '../store-session';

export const command: Command = {
  summary: 'prove to a backend that a key is in a TPM',
  usage: 'KEY_ID (--challenge TEXT | --activate FILE|-) [OPTIONS]',
  description: `Proves to a backend that a key is in a TPM, in two steps. With --challenge the TPM certifies
the key: send the output of --json to the backend. With --activate the TPM decrypts the
credential that the backend made from it: send the secret to the backend. The credential
is a JSON object with credentialBlob and encryptedSecret. Both steps need a key in a TPM on
Linux. The result of the first step identifies this machine to everyone who receives it.`,
  options: {
    challenge: { value: 'TEXT', help: "the backend's challenge: 32 to 64 bytes in base64url" },
    activate: { value: 'FILE', help: 'the credential; - is standard input' },
  },
  positionals: ['KEY_ID'],
  examples: [
    'device-key attest dk_tpm_… --challenge "$CHALLENGE" --json > attestation.json',
    'device-key attest dk_tpm_… --activate credential.json --json | jq -r .secret',
  ],

  async run(invocation) {
    const { values } = invocation.args;
    const challenge = values.get('challenge');
    const source = values.get('activate');
    if (challenge !== undefined && source !== undefined) {
      throw new UsageError('--challenge and --activate are two steps: give one of them');
    }
    if (challenge !== undefined) await certify(invocation, challenge);
    else if (source !== undefined) await activate(invocation, source);
    else throw new UsageError('--challenge is missing, or --activate for the second step');
    return 0;
  },
};

async function certify(invocation: Invocation, challenge: string): Promise<void> {
  const { args, output, signal } = invocation;
  const [keyId = ''] = args.positionals;
  const attestation = await withStore(invocation, (store) =>
    patiently(invocation, store.attest({ keyId, challenge }, { signal })),
  );
  output.result(attestation, attestationTable(attestation));
}

async function activate(invocation: Invocation, source: string): Promise<void> {
  const { args, output, signal } = invocation;
  const [keyId = ''] = args.positionals;
  const credential = await readJson(source, 'credential', invocation);
  if (typeof credential !== 'object' || credential === null) {
    throw new CommandError('invalid_input', 'the credential is not a JSON object');
  }
  const params = { ...(credential as Omit<DeviceKeyActivateAttestationParams, 'keyId'>), keyId };
  const answer = await withStore(invocation, (store) =>
    patiently(invocation, store.activateAttestation(params, { signal })),
  );
  output.result(answer, answer.secret);
}

function attestationTable(attestation: DeviceKeyAttestation): string {
  const rows = [
    ['format', attestation.format],
    ['attest', attestation.attest],
    ['signature', attestation.signature],
    ['key', attestation.keyPublicArea],
    ['attestation key', attestation.attestationKeyPublicArea],
  ];
  for (const { publicArea, certificate } of attestation.endorsementKeys) {
    rows.push(['endorsement key', publicArea], ['  certificate', certificate ?? 'none']);
  }
  return table(rows);
}
