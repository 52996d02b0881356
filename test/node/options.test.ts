// The options and environment variables of DeviceKeyStore.open, valid and invalid ones.
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import path from 'node:path';

import { DeviceKeyError, DeviceKeyStore, type DeviceKeyStoreOptions } from '../../dist/index.js';
import { runChild } from '../support/child';
import { TestMachine } from '../support/machine';
import { count, outcome, outcomes } from '../support/outcome';
import { binding, connectionPayload, secondsAhead } from '../support/payloads';

function openingError(options: unknown): DeviceKeyError {
  try {
    void DeviceKeyStore.open(options as DeviceKeyStoreOptions).close();
  } catch (error) {
    if (error instanceof DeviceKeyError) return error;
    throw error;
  }
  throw new Error('the store was opened');
}

describe('DeviceKeyStore.open', () => {
  test.each<[string, unknown]>([
    ['options', null],
    ['options', []],
    ['options', 'swtpm:'],
    ['options', () => undefined],
    ['options', { directory: 1n }],
    ['options.directory', { directory: null }],
    ['options.directory', { directory: '' }],
    ['options.directory', { directory: 'a\0b' }],
    ['options.directory', { directory: ['/tmp'] }],
    ['options.tcti', { tcti: '' }],
    ['options.tcti', { tcti: 7 }],
    ['tcti', { tcti: ':/dev/tpmrm0' }],
    ['options.allowSimulator', { allowSimulator: 'yes' }],
    ['options.allowSimulator', { allowSimulator: 1 }],
    ['options.timeoutMs', { timeoutMs: 0 }],
    ['options.timeoutMs', { timeoutMs: -1 }],
    ['options.timeoutMs', { timeoutMs: 1.5 }],
    ['options.timeoutMs', { timeoutMs: Infinity }],
    ['options.timeoutMs', { timeoutMs: '1000' }],
    ['options.queueLimit', { queueLimit: 0 }],
    ['options.queueLimit', { queueLimit: NaN }],
    ['options.queueLimit', { queueLimit: 2 ** 60 }],
    ['targets', { targets: [] }],
    ['targets.httpsHosts', { targets: { httpsHosts: 'chatgpt.com' } }],
    ['targets.httpsHosts[1]', { targets: { httpsHosts: ['a.example', 'B.example'] } }],
    ['targets.allowLoopback', { targets: { allowLoopback: 'true' } }],
    ['targets.connectionPaths[0]', { targets: { connectionPaths: ['relative'] } }],
    ['targets.maxLifetimeSeconds', { targets: { maxLifetimeSeconds: 0 } }],
  ])('throws invalid_params that names %s for %j', (name, options) => {
    const error = openingError(options);
    expect(error.code).toBe('invalid_params');
    expect(error.message).toMatch(new RegExp(`^${name.replace(/[.[\]]/g, '\\$&')}: `));
  });

  test.each([{ tctl: 'device:' }, { targets: { host: [] } }])(
    'throws for an unknown option: %j',
    (options) => {
      expect(openingError(options)).toMatchObject({
        code: 'invalid_params',
        message: expect.stringContaining('no such') as string,
      });
    },
  );

  test('treats undefined as an absent option', async () => {
    const absent = { directory: undefined, tcti: undefined } as unknown as DeviceKeyStoreOptions;
    await DeviceKeyStore.open(absent).close();
  });

  test('does not take options from a prototype', () => {
    const store = DeviceKeyStore.open(Object.create({ tcti: 7 }) as DeviceKeyStoreOptions);
    return store.close();
  });
});

describe('an open store', () => {
  let machine: TestMachine;
  beforeAll(async () => {
    machine = await TestMachine.start();
  });
  afterEach(() => machine.closeStores());
  afterAll(() => machine.stop());

  test('waits timeoutMs for a TPM that does not answer, then rejects with device_timeout', async () => {
    const keyId = await machine.enroll();
    const store = machine.open({ timeoutMs: 200 });
    machine.tpm.pause();
    const signing = store.sign({ keyId, payload: connectionPayload() });
    await expect(signing).rejects.toMatchObject({
      code: 'device_timeout',
      message: expect.stringContaining('timeoutMs') as string,
    });
    machine.tpm.resume();
    await expect(store.sign({ keyId, payload: connectionPayload() })).resolves.toBeDefined();
  });

  test('keeps timeoutMs for each of many operations that wait for a TPM', async () => {
    const keyId = await machine.enroll();
    const doomed = await machine.enroll();
    const store = machine.open({ timeoutMs: 500 });
    const sign = () => store.sign({ keyId, payload: connectionPayload() });
    await sign();
    machine.tpm.pause();
    const started = performance.now();
    const signing = Array.from({ length: 20 }, sign);
    const deleting = outcome(store.delete({ keyId: doomed }));
    const { device_timeout = 0, device_busy = 0, ...others } = count(await outcomes(signing));
    // An operation that has a few milliseconds left connects again, and swtpm lets few clients wait.
    expect({ ended: device_timeout + device_busy, ...others }).toEqual({ ended: 20 });
    expect(device_timeout).toBeGreaterThan(0);
    // A deletion whose turn comes in time removes the record although the TPM hangs.
    expect(['device_timeout', 'fulfilled']).toContain(await deleting);
    const elapsedMs = performance.now() - started;
    expect(elapsedMs).toBeGreaterThan(450);
    // One after the other they would take 10 s.
    expect(elapsedMs).toBeLessThan(3000);
    machine.tpm.resume();
    await expect(sign()).resolves.toBeDefined();
  });

  test('signs only for the hosts in targets', async () => {
    const store = machine.open({
      targets: {
        httpsHosts: ['*.example.org'],
        connectionPaths: ['/connect'],
        allowLoopback: false,
      },
    });
    const { keyId } = await store.create(binding);
    const sign = (targetOrigin: string, targetPath: string) =>
      store.sign({ keyId, payload: connectionPayload({ targetOrigin, targetPath }) });
    await expect(sign('https://a.example.org', '/connect')).resolves.toBeDefined();
    await expect(sign('https://chatgpt.com', '/connect')).rejects.toMatchObject({
      code: 'invalid_payload',
      message: expect.stringContaining('payload.targetOrigin') as string,
    });
    await expect(sign('http://localhost:8080', '/connect')).rejects.toMatchObject({
      code: 'invalid_payload',
      message: expect.stringContaining('payload.targetOrigin') as string,
    });
    await expect(
      sign('https://a.example.org', '/api/codex/remote/control/client'),
    ).rejects.toMatchObject({
      code: 'invalid_payload',
      message: expect.stringContaining('payload.targetPath') as string,
    });
  });

  test('signs for any port of an https server, unless targets names one port', async () => {
    const keyId = await machine.enroll();
    const signAt = (store: DeviceKeyStore, targetOrigin: string) =>
      outcome(store.sign({ keyId, payload: connectionPayload({ targetOrigin }) }));
    const usual = machine.open({});
    expect(await signAt(usual, 'https://chatgpt.com:8443')).toBe('fulfilled');
    expect(await signAt(usual, 'https://chatgpt.com:443')).toBe('invalid_payload');
    const onePort = machine.open({ targets: { httpsHosts: ['rc.example.org:8443'] } });
    expect(await signAt(onePort, 'https://rc.example.org:8443')).toBe('fulfilled');
    expect(await signAt(onePort, 'https://rc.example.org')).toBe('invalid_payload');
    expect(await signAt(onePort, 'https://rc.example.org:9443')).toBe('invalid_payload');
  });

  test('limits the lifetime of proofs to targets.maxLifetimeSeconds', async () => {
    const store = machine.open({ targets: { maxLifetimeSeconds: 86_400 } });
    const { keyId } = await store.create(binding);
    const sign = (seconds: number) =>
      store.sign({ keyId, payload: connectionPayload({ tokenExpiresAt: secondsAhead(seconds) }) });
    await expect(sign(86_000)).resolves.toBeDefined();
    await expect(sign(90_000)).rejects.toMatchObject({
      code: 'invalid_payload',
      message: expect.stringContaining('payload.tokenExpiresAt') as string,
    });
  });
});

describe('the environment', () => {
  let machine: TestMachine;
  let home: string;
  beforeAll(async () => {
    machine = await TestMachine.start();
  });
  beforeEach(async () => {
    home = await mkdtemp('/tmp/dk-env-');
  });
  afterEach(() => rm(home, { recursive: true }));
  afterAll(() => machine.stop());

  interface Report {
    result?: { keyId: string };
    error?: { code: string; message: string };
  }

  async function create(env: Record<string, string>): Promise<Report> {
    const child = await runChild<Report>(
      'use-module.cjs',
      { call: 'createDeviceKey', params: binding },
      { env: { HOME: home, ...env } },
    );
    return child.output;
  }

  const simulator = () => ({ DEVICE_KEY_TCTI: machine.tpm.tcti, DEVICE_KEY_ALLOW_SIMULATOR: '1' });

  test.each<[string, string, Record<string, string>]>([
    ['DEVICE_KEY_HOME', 'chosen', { DEVICE_KEY_HOME: 'chosen', XDG_DATA_HOME: 'data' }],
    ['$XDG_DATA_HOME/device-keys', 'data/device-keys', { XDG_DATA_HOME: 'data' }],
    ['~/.local/share/device-keys', '.local/share/device-keys', {}],
  ])('names the directory of key records: %s', async (_, directory, variables) => {
    const absolute = Object.entries(variables).map(([name, value]) => [
      name,
      path.join(home, value),
    ]);
    const { result } = await create({
      ...simulator(),
      ...(Object.fromEntries(absolute) as Record<string, string>),
    });
    expect(await readdir(path.join(home, directory))).toEqual([`${result!.keyId}.json`]);
  });

  test('names the TPM: DEVICE_KEY_TCTI', async () => {
    const { error } = await create({ DEVICE_KEY_TCTI: 'device:/nonexistent/tpm' });
    expect(error).toMatchObject({
      code: 'hardware_unavailable',
      message: expect.stringContaining('/nonexistent/tpm') as string,
    });
  });

  test.each(['/dev/tpmrm0', ':x'])(
    'is refused when DEVICE_KEY_TCTI is malformed: "%s"',
    async (tcti) => {
      const { error } = await create({ DEVICE_KEY_TCTI: tcti });
      expect(error).toMatchObject({ code: 'invalid_params' });
    },
  );

  test.each(['', '0', 'true', 'yes'])(
    'allows a simulator only with DEVICE_KEY_ALLOW_SIMULATOR=1, not with "%s"',
    async (value) => {
      const { error } = await create({ ...simulator(), DEVICE_KEY_ALLOW_SIMULATOR: value });
      expect(error).toMatchObject({ code: 'hardware_unavailable' });
    },
  );

  test('does not overrule allowSimulator: false', async () => {
    const { output } = await runChild<Report>(
      'use-store.cjs',
      {
        options: { ...machine.options, allowSimulator: false },
        method: 'create',
        params: binding,
      },
      { env: { DEVICE_KEY_ALLOW_SIMULATOR: '1' } },
    );
    expect(output.error).toMatchObject({ code: 'hardware_unavailable' });
  });
});
