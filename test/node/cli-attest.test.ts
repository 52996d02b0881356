// `device-key attest` with a backend and a software TPM that has its maker's certificates.
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import type { DeviceKeyAttestation, DeviceKeyCreateResponse } from '../../dist/index.js';
import { InMemoryAttestationStateStore, TpmAttestationExchange } from '../../dist/verify.js';
import { CliUser } from '../support/cli';
import { SoftwareTpm } from '../support/swtpm';

let user: CliUser;
let tpm: Awaited<ReturnType<typeof SoftwareTpm.startWithCertificates>>;
let env: Record<string, string>;
let key: DeviceKeyCreateResponse;

beforeAll(async () => {
  user = await CliUser.create();
  tpm = await SoftwareTpm.startWithCertificates();
  env = { DEVICE_KEY_TCTI: tpm.tcti, DEVICE_KEY_ALLOW_SIMULATOR: '1' };
  const account = ['--account', 'user-1', '--client', 'laptop'];
  key = (await user.json(['create', ...account], { env })) as DeviceKeyCreateResponse;
});

afterAll(async () => {
  await tpm.stop();
  await user.remove();
});

function newExchange(): TpmAttestationExchange {
  return new TpmAttestationExchange({
    states: new InMemoryAttestationStateStore(),
    trust: { roots: [tpm.certificates.root], intermediates: [tpm.certificates.intermediate] },
  });
}

test.each(['a file', 'standard input'])(
  'proves in two steps that the key is in the TPM, with the credential from %s',
  async (from) => {
    const exchange = newExchange();
    const { attestationId, challenge } = await exchange.challenge(key);
    const attestation = (await user.json(['attest', key.keyId, '--challenge', challenge], {
      env,
    })) as DeviceKeyAttestation;
    const made = await exchange.makeCredential(attestationId, attestation);

    const input = JSON.stringify(made);
    const file = path.join(user.home, 'credential.json');
    await writeFile(file, input);
    const source = from === 'a file' ? file : '-';
    const answer = await user.json(['attest', key.keyId, '--activate', source], { env, input });
    const proof = await exchange.complete(
      made.attestationId,
      (answer as { secret: string }).secret,
    );
    expect(proof).toMatchObject({
      publicKeySpkiDerBase64: key.publicKeySpkiDerBase64,
      endorsement: 'chained',
    });
  },
);

test('without --json prints the same for people', async () => {
  const exchange = newExchange();
  const { attestationId, challenge } = await exchange.challenge(key);
  const shown = await user.run(['attest', key.keyId, '--challenge', challenge], { env });
  expect(shown).toMatchObject({ code: 0, stderr: '' });
  expect(shown.stdout).toMatch(/^format +tpm2$/m);
  expect(shown.stdout.match(/^endorsement key {2}\S+$/gm)).toHaveLength(2);

  const attestation = (await user.json(['attest', key.keyId, '--challenge', challenge], {
    env,
  })) as DeviceKeyAttestation;
  const made = await exchange.makeCredential(attestationId, attestation);
  const input = JSON.stringify(made);
  const { stdout } = await user.run(['attest', key.keyId, '--activate', '-'], { env, input });
  await exchange.complete(made.attestationId, stdout.trim());
});

describe('refuses', () => {
  test('a challenge that is too short, and names it', async () => {
    const challenge = randomBytes(31).toString('base64url');
    expect(
      await user.jsonError(['attest', key.keyId, '--challenge', challenge], { env }),
    ).toMatchObject({
      code: 'invalid_params',
      message: expect.stringMatching(/^challenge: expected .* 32 to 64 bytes/) as string,
    });
  });

  test('a missing key', async () => {
    const keyId = `dk_tpm_${Buffer.alloc(32).toString('base64url')}`;
    const challenge = randomBytes(32).toString('base64url');
    expect(
      await user.jsonError(['attest', keyId, '--challenge', challenge], { env }),
    ).toMatchObject({ code: 'key_not_found' });
  });

  test.each([
    ['text', 'invalid_input', 'the credential is not JSON'],
    ['null', 'invalid_input', 'the credential is not a JSON object'],
    ['{}', 'invalid_params', 'credentialBlob: expected'],
    ['{"credentialBlob":"AAA="}', 'invalid_params', 'encryptedSecret: expected'],
    [
      '{"credentialBlob":"AAA=","encryptedSecret":"AAA="}',
      'invalid_params',
      'credentialBlob: expected a buffer after its size in two bytes',
    ],
  ])('the credential %s', async (input, code, message) => {
    const error = await user.jsonError(['attest', key.keyId, '--activate', '-'], { env, input });
    expect(error).toMatchObject({ code, message: expect.stringContaining(message) as string });
  });

  test('a credential file that is not there', async () => {
    const error = await user.jsonError(['attest', key.keyId, '--activate', '/nowhere'], { env });
    expect(error).toMatchObject({ code: 'invalid_input' });
  });
});
