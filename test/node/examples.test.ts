// The examples at work: an Electron main process with a real TPM, and a backend that verifies what
// it signs. Electron itself is played by test/support/electron-stand-in.ts.
import { fork, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import ts from 'typescript';

import { startBackend } from '../../examples/backend/server';
import { deviceIdentitySha256, type DeviceKeyPublicResponse } from '../../dist/index.js';
import type { FromMain, ToMain } from '../support/electron-stand-in';
import { SoftwareSigner } from '../support/software-signer';
import { SoftwareTpm } from '../support/swtpm';

const root = path.join(__dirname, '../..');
const login = 'login-of-user-7f3a';
const sha256 = (data: string | Buffer) => createHash('sha256').update(data).digest('base64url');
const account = { login, accountUserId: 'user-7f3a', clientId: 'cli_42' };

let backend: Awaited<ReturnType<typeof startBackend>>;
let log: string[];
beforeEach(async () => {
  log = [];
  const logins = new Map([
    [login, 'user-7f3a'],
    ['login-of-user-other', 'user-other'],
  ]);
  backend = await startBackend({ logins, log: (line) => log.push(line) });
});
afterEach(() => backend.close());

describe('the Electron example', () => {
  let tpm: SoftwareTpm;
  let directory: string;
  let userData: string;
  let running: Set<ChildProcess>;

  // Below the package's root, where `node-device-key` is this package.
  beforeEach(async () => {
    running = new Set();
    tpm = await SoftwareTpm.start();
    await mkdir(path.join(root, '.cache'), { recursive: true });
    directory = await mkdtemp(path.join(root, '.cache/electron-'));
    userData = path.join(directory, 'user-data');
    await mkdir(userData);
    await mkdir(path.join(directory, 'node_modules/electron'), { recursive: true });
    await compile('examples/electron/main.ts', 'main.js');
    await useSimulator('main.js');
    await compile('test/support/electron-stand-in.ts', 'node_modules/electron/index.js');
  });
  afterEach(async () => {
    for (const child of running) child.kill('SIGKILL');
    await tpm.stop();
    await rm(directory, { recursive: true });
  });

  async function compile(source: string, target: string): Promise<void> {
    const { outputText } = ts.transpileModule(await readFile(path.join(root, source), 'utf8'), {
      compilerOptions: {
        target: ts.ScriptTarget.ES2022,
        module: ts.ModuleKind.CommonJS,
        esModuleInterop: true,
      },
    });
    await writeFile(path.join(directory, target), outputText);
  }

  /** The example takes hardware alone, whatever the environment says, so its source has to change here. */
  async function useSimulator(file: string): Promise<void> {
    const source = await readFile(path.join(directory, file), 'utf8');
    for (const pinned of [
      "tcti: 'device:/dev/tpmrm0'",
      'allowSimulator: false',
      'environment: false',
    ]) {
      expect(source).toContain(pinned);
    }
    await writeFile(
      path.join(directory, file),
      source
        .replace("tcti: 'device:/dev/tpmrm0'", `tcti: ${JSON.stringify(tpm.tcti)}`)
        .replace('allowSimulator: false', 'allowSimulator: true'),
    );
  }

  /** The app, and what its windows and its user see and do. */
  async function startApp(environment: Record<string, string> = {}) {
    const child = fork(path.join(directory, 'main.js'), {
      env: {
        ...process.env,
        USER_DATA: userData,
        BACKEND_ORIGIN: backend.origin,
        ...environment,
      },
    });
    running.add(child);
    const exited = once(child, 'exit').then(([code]) => {
      running.delete(child);
      return code as number | null;
    });
    const send = (message: ToMain) => child.send(message);
    const errorBoxes: [string, string][] = [];
    const results = new Map<number, (result: unknown) => void>();
    await new Promise<void>((resolve) => {
      child.on('message', (message: FromMain) => {
        if ('ready' in message) resolve();
        else if ('errorBox' in message) errorBoxes.push(message.errorBox);
        else results.get(message.call)?.(message.result);
      });
    });
    let calls = 0;
    return {
      errorBoxes,
      connect: (as: object = account): Promise<unknown> =>
        new Promise((resolve) => {
          results.set(++calls, resolve);
          send({ invoke: 'remote-control:connect', call: calls, argument: as });
        }),
      quit: (): Promise<number | null> => {
        send({ quit: true });
        return exited;
      },
    };
  }

  const connected = { ok: true, token: expect.any(String) as string };
  const keyFiles = () => readdir(path.join(userData, 'device-keys'));

  test('enrolls a key once and proves at each connection that it holds it', async () => {
    const first = await startApp();
    expect(await first.connect()).toEqual(connected);
    expect(await first.connect()).toEqual(connected);
    expect(await first.quit()).toBe(0);
    const keys = await keyFiles();
    expect(keys).toHaveLength(1);

    const second = await startApp(); // swtpm serves one process: the first has let it go
    expect(await second.connect()).toEqual(connected);
    expect(await second.quit()).toBe(0);
    expect(await keyFiles()).toEqual(keys);
    expect([log, first.errorBoxes, second.errorBoxes]).toEqual([[], [], []]);
  });

  test('enrolls once when two windows connect at the same time', async () => {
    const app = await startApp();
    expect(await Promise.all([app.connect(), app.connect()])).toEqual([connected, connected]);
    expect(await keyFiles()).toHaveLength(1);
    await app.quit();
  });

  test('has a key for each account', async () => {
    const app = await startApp();
    const other = { login: 'login-of-user-other', accountUserId: 'user-other', clientId: 'cli_42' };
    expect(await app.connect()).toEqual(connected);
    expect(await app.connect(other)).toEqual(connected);
    expect(await keyFiles()).toHaveLength(2);
    await app.quit();
  });

  test('leaves nothing in the TPM', async () => {
    const app = await startApp();
    await app.connect();
    await app.quit();
    expect(await tpm.getcap('handles-transient')).toBe('');
    expect(await tpm.getcap('handles-loaded-session')).toBe('');
  });

  test('shows the message of what is wrong, and goes on when it is mended', async () => {
    const app = await startApp();
    await tpm.kill();
    const refused = (await app.connect()) as { code: string; message: string };
    expect(refused).toEqual({
      ok: false,
      code: expect.stringMatching(/^(hardware_unavailable|platform_error)$/) as string,
      message: expect.stringMatching(/TPM/) as string,
    });
    expect(app.errorBoxes).toEqual([['This device could not be verified', refused.message]]);

    await tpm.powerOn();
    expect(await app.connect()).toEqual(connected);
    await app.quit();
  });

  test('keeps no key that its backend refused', async () => {
    const app = await startApp();
    const refused = await app.connect({ ...account, accountUserId: 'user-other' });
    expect(refused).toMatchObject({ ok: false, message: expect.stringContaining('401') as string });
    expect(await keyFiles()).toEqual([]);
    expect(log).toEqual([expect.stringContaining('account_user_id_mismatch')]);
    await app.quit();
  });
});

describe('the backend example', () => {
  const clientPath = '/wham/remote/control/client';
  const signer = new SoftwareSigner();

  async function post(urlPath: string, bearer: string, body: unknown) {
    const response = await fetch(backend.origin + urlPath, {
      method: 'POST',
      headers: { authorization: `Bearer ${bearer}` },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
    const text = await response.text();
    return { status: response.status, text, body: (text ? JSON.parse(text) : {}) as never };
  }

  interface Challenge {
    challengeId: string;
    nonce: string;
    challengeExpiresAt: number;
  }
  /** What `create` would answer for a key. */
  const enrolledAs = (key: SoftwareSigner): DeviceKeyPublicResponse => ({
    keyId: `dk_tpm_${sha256(key.spki)}`,
    publicKeySpkiDerBase64: key.publicKeySpkiDerBase64,
    algorithm: 'ecdsa_p256_sha256',
    protectionClass: 'hardware_tpm',
  });
  async function enrollmentOf(
    key: SoftwareSigner,
    changes: object = {},
    clientId = account.clientId,
  ) {
    const { accountUserId } = account;
    const challenge: Challenge = (await post(`${clientPath}/enroll/start`, login, { clientId }))
      .body;
    return {
      challengeId: challenge.challengeId,
      key: enrolledAs(key),
      proof: key.signPayload({
        type: 'remoteControlClientEnrollment',
        audience: 'remote_control_client_enrollment',
        ...challenge,
        targetOrigin: backend.origin,
        targetPath: `${clientPath}/enroll`,
        ...{ accountUserId, clientId },
        deviceIdentitySha256Base64url: deviceIdentitySha256(enrolledAs(key)),
        ...changes,
      }),
    };
  }

  interface Session {
    sessionId: string;
    nonce: string;
    token: string;
    tokenExpiresAt: number;
  }
  async function connectionOf(key: SoftwareSigner, changes: object = {}) {
    const { clientId, accountUserId } = account;
    const session: Session = (await post(`${clientPath}/start`, login, { clientId })).body;
    const { token, ...said } = session;
    return {
      token,
      body: {
        sessionId: session.sessionId,
        proof: key.signPayload({
          type: 'remoteControlClientConnection',
          audience: 'remote_control_client_websocket',
          ...said,
          targetOrigin: backend.origin,
          targetPath: clientPath,
          ...{ accountUserId, clientId },
          tokenSha256Base64url: sha256(token),
          scopes: ['remote_control_controller_websocket'],
          ...changes,
        }),
      },
    };
  }

  const enroll = async (key = signer, changes = {}) =>
    post(`${clientPath}/enroll`, login, await enrollmentOf(key, changes));
  const connect = async (key = signer, changes = {}) => {
    const { token, body } = await connectionOf(key, changes);
    return post(clientPath, token, body);
  };

  test('takes an enrollment, and connections of the enrolled key', async () => {
    expect((await enroll()).status).toBe(200);
    expect((await connect()).body).toEqual({ connected: true });
    expect((await connect()).body).toEqual({ connected: true });
    expect(log).toEqual([]);
  });

  /** Refusals tell the client no more than that; the log tells why. */
  function expectRefused(response: { status: number; text: string }, status: number, why: string) {
    expect([response.status, response.text]).toEqual([status, '']);
    expect(log.splice(0)).toEqual([expect.stringContaining(why)]);
  }

  test.each([
    ['origin', { targetOrigin: 'https://chatgpt.com' }, 'target_origin_mismatch'],
    ['path', { targetPath: '/api/codex/remote/control/client' }, 'target_path_mismatch'],
    ['account', { accountUserId: 'user-other' }, 'account_user_id_mismatch'],
    ['client', { clientId: 'cli_other' }, 'client_id_mismatch'],
    ['nonce', { nonce: sha256('other') }, 'nonce_mismatch'],
    ['token', { tokenSha256Base64url: sha256('other') }, 'token_sha256_mismatch'],
    ['expiry', { tokenExpiresAt: 2_000_000_000 }, 'expiry_mismatch'],
    ['scope', { scopes: ['admin'] }, 'scopes_mismatch'],
  ])('refuses a connection for another %s', async (_, changes, code) => {
    await enroll();
    expectRefused(await connect(signer, changes), 401, code);
  });

  test.each([
    ['origin', { targetOrigin: 'https://chatgpt.com' }, 'target_origin_mismatch'],
    ['account', { accountUserId: 'user-other' }, 'account_user_id_mismatch'],
    ['challenge', { challengeId: 'other' }, 'challenge_id_mismatch'],
    ['device', { deviceIdentitySha256Base64url: sha256('x') }, 'device_identity_sha256_mismatch'],
    ['expiry', { challengeExpiresAt: 2_000_000_000 }, 'expiry_mismatch'],
  ])('refuses an enrollment for another %s, and enrolls nothing', async (_, changes, code) => {
    expectRefused(await enroll(signer, changes), 401, code);
    expectRefused(await connect(), 401, 'no key is enrolled');
  });

  test.each([
    ['keyId', `dk_tpm_${'A'.repeat(43)}`],
    ['protectionClass', 'os_protected_nonextractable'],
    ['algorithm', 'ecdsa_p384'],
  ])('refuses an enrollment with another %s than was signed', async (member, value) => {
    const request = await enrollmentOf(signer);
    const key = { ...request.key, [member]: value };
    expectRefused(
      await post(`${clientPath}/enroll`, login, { ...request, key }),
      401,
      'device_identity_sha256_mismatch',
    );
  });

  test('refuses what another key signed', async () => {
    await enroll();
    expectRefused(await connect(new SoftwareSigner()), 401, 'signature_mismatch');
  });

  test('refuses a proof that was used before', async () => {
    await enroll();
    const { token, body } = await connectionOf(signer);
    expect((await post(clientPath, token, body)).status).toBe(200);
    expectRefused(await post(clientPath, token, body), 401, 'nonce_replayed');
  });

  test('refuses a challenge that was used before, or by somebody else', async () => {
    const request = await enrollmentOf(signer);
    expectRefused(await post(`${clientPath}/enroll`, 'login-of-user-other', request), 401, 'their');
    expectRefused(await post(`${clientPath}/enroll`, login, request), 401, 'used before');
  });

  test('does not let a login alone replace the key of a device', async () => {
    await enroll();
    expectRefused(await enroll(new SoftwareSigner()), 409, 'revoke first');
    expect((await connect()).status).toBe(200);
  });

  test('takes a key for one client alone', async () => {
    await enroll();
    const request = await enrollmentOf(signer, { clientId: 'cli_other' }, 'cli_other');
    expectRefused(await post(`${clientPath}/enroll`, login, request), 409, 'another client');
  });

  test('wants the token of the session', async () => {
    await enroll();
    const { body } = await connectionOf(signer);
    expectRefused(await post(clientPath, 'other', body), 401, 'no such session');
    expectRefused(await post(clientPath, login, body), 401, 'no such session');
  });

  test.each<[string, string, string, unknown, number]>([
    ['a login that it does not know', '/enroll/start', 'nobody', { clientId: 'c' }, 401],
    ['no client', '/start', login, {}, 400],
    ['no JSON', '/enroll', login, 'text', 400],
    ['an array', '/start', login, [], 400],
    ['a request that is too long', '/enroll', login, { proof: 'x'.repeat(20_000) }, 413],
    ['another path', '/elsewhere', login, {}, 404],
  ])('refuses %s', async (_, urlPath, bearer, body, status) => {
    expectRefused(await post(clientPath + urlPath, bearer, body), status, 'Refused');
  });

  test('answers a proof that is none without falling over', async () => {
    await enroll();
    for (const proof of [undefined, null, 7, {}, { signedPayloadBase64: {} }]) {
      const { token, body } = await connectionOf(signer);
      expectRefused(await post(clientPath, token, { ...body, proof }), 401, 'proof_malformed');
    }
  });
});
