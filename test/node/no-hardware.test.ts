// Machines with a missing part: the errors, and that nothing fails before the part is needed.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { DeviceKeyStore, type DeviceKeySupport } from '../../dist/index.js';
import { runChild } from '../support/child';
import { binding } from '../support/payloads';
import { SoftwareTpm } from '../support/swtpm';

interface Failure {
  code: string;
  message: string;
}

let home: string;
beforeAll(async () => {
  home = await mkdtemp('/tmp/dk-bare-');
  // The state after an incomplete removal of a package.
  await writeFile(path.join(home, 'libtss2-rc.so.0'), '');
});
afterAll(() => rm(home, { recursive: true }));

async function createError(env: Record<string, string>): Promise<Failure> {
  const { output } = await runChild<{ error: Failure }>(
    'use-module.cjs',
    { call: 'createDeviceKey', params: binding },
    { env: { HOME: home, ...env } },
  );
  return output.error;
}

async function support(env: Record<string, string>): Promise<DeviceKeySupport> {
  const { output } = await runChild<{ result: DeviceKeySupport }>(
    'use-module.cjs',
    { call: 'probeDeviceKeySupport' },
    { env: { HOME: home, ...env } },
  );
  return output.result;
}

describe.each([
  {
    lack: 'no TPM',
    env: () => ({ DEVICE_KEY_TCTI: 'device:/nonexistent' }),
    code: 'hardware_unavailable',
    cure: 'no TPM 2.0 at /nonexistent',
  },
  {
    lack: 'a device node that is no TPM',
    env: () => ({ DEVICE_KEY_TCTI: 'device:/dev/null' }),
    code: expect.stringMatching(/^(hardware_unavailable|platform_error)$/) as string,
    cure: '/dev/null',
  },
  {
    lack: 'no tpm2-tss',
    env: () => ({ DEVICE_KEY_TCTI: 'device:/nonexistent', LD_LIBRARY_PATH: home }),
    code: 'library_missing',
    cure: 'apt install libtss2-sys1',
  },
  {
    lack: 'no simulator behind the socket',
    env: () => ({
      DEVICE_KEY_TCTI: 'swtpm:path=/nonexistent',
      DEVICE_KEY_ALLOW_SIMULATOR: '1',
    }),
    code: 'hardware_unavailable',
    cure: 'Start swtpm',
  },
  {
    lack: 'a simulator that was not allowed',
    env: () => ({ DEVICE_KEY_TCTI: 'swtpm:path=/nonexistent' }),
    code: 'hardware_unavailable',
    cure: 'allowSimulator',
  },
])('with $lack', ({ env, code, cure }) => {
  const expected = { code, message: expect.stringContaining(cure) as string };

  test('create rejects and names the missing part', async () => {
    expect(await createError(env())).toMatchObject(expected);
  });

  test('support reports the same', async () => {
    const { hardware, protectionClass, providers } = await support(env());
    expect({ hardware, protectionClass }).toEqual({ hardware: false, protectionClass: null });
    expect(providers[0]).toMatchObject({ provider: 'tpm2', available: false, ...expected });
  });

  test('the package can be imported, and keys listed', async () => {
    const { exitCode, output, stderr } = await runChild(
      'use-module.cjs',
      { call: 'listDeviceKeys' },
      { env: { HOME: home, ...env() } },
    );
    expect({ exitCode, output, stderr }).toEqual({
      exitCode: 0,
      output: { result: [] },
      stderr: '',
    });
  });
});

test('support reports a working TPM', async () => {
  const tpm = await SoftwareTpm.start();
  try {
    const told = await support({
      DEVICE_KEY_TCTI: tpm.tcti,
      DEVICE_KEY_ALLOW_SIMULATOR: '1',
    });
    expect(told).toMatchObject({ hardware: true, protectionClass: 'hardware_tpm' });
    expect(told.providers[0]).toMatchObject({
      available: true,
      code: null,
      message: null,
      details: { simulator: true, tcti: tpm.tcti },
    });
  } finally {
    await tpm.stop();
  }
});

test('hardware that appears is used without a restart', async () => {
  const tpm = await SoftwareTpm.start();
  try {
    await tpm.kill();
    const store = DeviceKeyStore.open({
      directory: path.join(home, 'late'),
      tcti: tpm.tcti,
      allowSimulator: true,
    });
    expect((await store.support()).hardware).toBe(false);
    await tpm.powerOn();
    expect((await store.support()).hardware).toBe(true);
    await expect(store.create(binding)).resolves.toMatchObject({
      protectionClass: 'hardware_tpm',
    });
    await store.close();
  } finally {
    await tpm.stop();
  }
});
