// Through the kernel's resource manager, /dev/tpmrm0, as on users' machines. One boot of a virtual
// machine (test/support/run-guest.sh) does everything; the tests check its report.
import { execFile } from 'node:child_process';
import { createPublicKey, verify } from 'node:crypto';
import { chmod, cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import type {
  DeviceKeyCreateResponse,
  DeviceKeySignResponse,
  DeviceKeySupport,
} from '../../dist/index.js';
import type { TpmKeyProof } from '../../dist/verify.js';
import { SoftwareTpm } from '../support/swtpm';

type Outcome<T> =
  { value: T; error?: undefined } | { value?: undefined; error: { code: string; message: string } };

interface Life {
  support: Outcome<DeviceKeySupport>;
  create: Outcome<DeviceKeyCreateResponse>;
  sign: Outcome<DeviceKeySignResponse>;
  attest: Outcome<TpmKeyProof>;
  remove: Outcome<{ before: { keyId: string }[]; after: unknown[] }>;
  manyKeys: Outcome<number>;
}

interface Report {
  root: Life;
  member: Life;
  outsider: Life;
  transientHandles: string;
  loadedSessions: string;
  savedSessions: string;
}

const root = path.join(__dirname, '../..');
const bootLimitMs = 480_000;

const packageFiles = ['package.json', 'dist', 'types', 'build/Release/device_key.node'];

async function runInGuest(): Promise<Report> {
  const stage = await mkdtemp(path.join(tmpdir(), 'dk-stage-'));
  const tpm = await SoftwareTpm.startWithCertificates();
  try {
    await tpm.kill();
    const { root: maker, intermediate } = tpm.certificates;
    const trust = JSON.stringify({ roots: [maker], intermediates: [intermediate] });
    await writeFile(path.join(stage, 'tpm-maker.json'), trust);
    await chmod(stage, 0o755); // in the guest, other users than root need it too
    for (const file of packageFiles) {
      await cp(path.join(root, file), path.join(stage, file), { recursive: true });
    }
    await cp(
      path.join(root, 'test/support/guest/lifecycle.cjs'),
      path.join(stage, 'lifecycle.cjs'),
    );
    const { stdout } = await promisify(execFile)('setpriv', [
      ...['--pdeathsig', 'TERM', path.join(root, 'test/support/run-guest.sh')],
      ...['-t', String(bootLimitMs / 1000), '-s', tpm.stateDirectory],
      ...[stage, 'node', 'lifecycle.cjs'],
    ]);
    return JSON.parse(stdout) as Report;
  } finally {
    await tpm.stop();
    await rm(stage, { recursive: true });
  }
}

let report: Report;
beforeAll(async () => {
  report = await runInGuest();
  // The first setup of the guest downloads its kernel.
}, bootLimitMs + 240_000);

describe.each(['root', 'member'] as const)('through /dev/tpmrm0 as %s of the tss group', (user) => {
  test('creates a key in the TPM', () => {
    expect(report[user].create).toMatchObject({
      value: {
        keyId: expect.stringMatching(/^dk_tpm_/) as string,
        algorithm: 'ecdsa_p256_sha256',
        protectionClass: 'hardware_tpm',
      },
    });
  });

  test('signs in another process', () => {
    const key = createPublicKey({
      key: Buffer.from(report[user].create.value!.publicKeySpkiDerBase64, 'base64'),
      format: 'der',
      type: 'spki',
    });
    const { signedPayloadBase64, signatureDerBase64 } = report[user].sign.value!;
    const valid = verify(
      'sha256',
      Buffer.from(signedPayloadBase64, 'base64'),
      key,
      Buffer.from(signatureDerBase64, 'base64'),
    );
    expect(valid).toBe(true);
  });

  test('proves to a backend that the key is in the TPM', () => {
    expect(report[user].attest).toMatchObject({
      value: {
        publicKeySpkiDerBase64: report[user].create.value!.publicKeySpkiDerBase64,
        endorsement: 'chained',
        certificate: { issuer: expect.stringContaining('swtpm-localca') as string },
      },
    });
  });

  test('lists the key until it is deleted', () => {
    const { keyId } = report[user].create.value!;
    const { before, after } = report[user].remove.value!;
    expect(before.map((listed) => listed.keyId)).toEqual([keyId]);
    expect(after).toEqual([]);
  });

  test('uses more keys in one process than the kernel holds for it at once', () => {
    expect(report[user].manyKeys).toEqual({ value: 5 });
  });
});

describe('through /dev/tpmrm0 as a user outside the tss group', () => {
  test('create is refused, and the error names the missing group', () => {
    expect(report.outsider.create.error).toMatchObject({
      code: 'permission_denied',
      message: expect.stringMatching(/\btss\b.*group|group.*\btss\b/) as string,
    });
  });

  test('the support report says the same', () => {
    expect(report.outsider.support.value?.providers).toContainEqual(
      expect.objectContaining({
        provider: 'tpm2',
        available: false,
        code: 'permission_denied',
        message: report.outsider.create.error?.message,
      }),
    );
  });
});

test('leaves no object and no session in the TPM', () => {
  expect(report.transientHandles).toBe('');
  expect(report.loadedSessions).toBe('');
  expect(report.savedSessions).toBe('');
});
