// The examples: an Electron app with a software TPM, and a backend that verifies its proofs.
// test/support/electron-stand-in.ts stands in for Electron.
import { execFile, fork, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import ts from 'typescript';

import { startBackend } from '../../examples/backend/server';
import { deviceIdentitySha256, type DeviceKeyPublicResponse } from '../../dist/index.js';
import { verifyDeviceKeySignature } from '../../dist/verify.js';
import type { Frame, FromMain, ToMain } from '../support/electron-stand-in';
import { SoftwareSigner } from '../support/software-signer';
import { SoftwareTpm } from '../support/swtpm';

const root = path.join(__dirname, '../..');
const login = 'login-of-user-7f3a';
const sha256 = (data: string | Buffer) => createHash('sha256').update(data).digest('base64url');
const account = { login, accountUserId: 'user-7f3a', clientId: 'cli_42' };

let backend: Awaited<ReturnType<typeof startBackend>>;
let databaseFile: string;
let audit: Record<string, unknown>[];
/** The codes of the backend's refusals. */
const refusals = () => audit.map(({ code }) => code).filter((code) => code !== 'accepted');

async function start(port = 0): Promise<void> {
  const logins = new Map([
    [login, 'user-7f3a'],
    ['login-of-user-other', 'user-other'],
  ]);
  backend = await startBackend({
    ...{ logins, databaseFile, port },
    audit: (line) => audit.push(JSON.parse(line) as Record<string, unknown>),
  });
}

beforeEach(async () => {
  audit = [];
  databaseFile = path.join(await mkdtemp(path.join(tmpdir(), 'dk-backend-')), 'backend.db');
  await start();
});
afterEach(async () => {
  await backend.close();
  await rm(path.dirname(databaseFile), { recursive: true });
});

describe('the Electron example', () => {
  let tpm: SoftwareTpm;
  let built: string;
  let directory: string;
  let userData: string;
  let running: Set<ChildProcess>;

  // A copy of the example in which this package is installed. It is below the package's root, so
  // that the compiler finds the types of Electron.
  beforeAll(async () => {
    await mkdir(path.join(root, '.cache'), { recursive: true });
    built = await mkdtemp(path.join(root, '.cache/electron-'));
    await cp(path.join(root, 'examples/electron'), built, { recursive: true });
    await mkdir(path.join(built, 'node_modules'));
    await symlink(root, path.join(built, 'node_modules/node-device-key'));
    const compiler = path.join(root, 'node_modules/typescript/bin/tsc');
    await promisify(execFile)(process.execPath, [compiler], { cwd: built });
  });
  afterAll(() => rm(built, { recursive: true }));

  beforeEach(async () => {
    running = new Set();
    tpm = await SoftwareTpm.start();
    directory = await mkdtemp(path.join(root, '.cache/electron-'));
    userData = path.join(directory, 'user-data');
    await mkdir(userData);
    await cp(built, directory, { recursive: true });
    await useSimulator('compiled/remote-control.js');
    await installStandIn();
  });
  afterEach(async () => {
    for (const child of running) child.kill('SIGKILL');
    await tpm.stop();
    await rm(directory, { recursive: true });
  });

  async function installStandIn(): Promise<void> {
    const source = await readFile(path.join(root, 'test/support/electron-stand-in.ts'), 'utf8');
    const { outputText } = ts.transpileModule(source, {
      compilerOptions: {
        target: ts.ScriptTarget.ES2022,
        module: ts.ModuleKind.CommonJS,
        esModuleInterop: true,
      },
    });
    await mkdir(path.join(directory, 'node_modules/electron'));
    await writeFile(path.join(directory, 'node_modules/electron/index.js'), outputText);
  }

  /** The example accepts only hardware and ignores the environment, so this changes its source. */
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

  /** The app, with the actions and observations of its windows and its user. */
  async function startApp(environment: Record<string, string> = {}) {
    const { main } = JSON.parse(await readFile(path.join(directory, 'package.json'), 'utf8')) as {
      main: string;
    };
    const child = fork(path.join(directory, main), {
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
    const calls: { resolve: (result: unknown) => void; reject: (error: Error) => void }[] = [];
    let allowed: ((answer: boolean) => void) | undefined;
    const loaded = await new Promise<Extract<FromMain, { loaded: string }>>((resolve, reject) => {
      void exited.then((code) => reject(new Error(`the app exited with ${code ?? 'a signal'}`)));
      child.on('message', (message: FromMain) => {
        if ('loaded' in message) resolve(message);
        else if ('errorBox' in message) errorBoxes.push(message.errorBox);
        else if ('allowed' in message) allowed?.(message.allowed);
        else if ('error' in message) calls[message.call]!.reject(new Error(message.error));
        else calls[message.call]!.resolve(message.result);
      });
    });
    const call = (name: string, argument?: unknown): Promise<unknown> =>
      new Promise((resolve, reject) => {
        const number = calls.push({ resolve, reject }) - 1;
        send({ api: 'remoteControl', function: name, call: number, argument });
      });
    const isAllowed = (message: ToMain): Promise<boolean> =>
      new Promise((resolve) => {
        allowed = resolve;
        send(message);
      });
    return {
      ...{ errorBoxes, loaded, send, isAllowed, exited },
      connect: (as: object = account) => call('connect', as),
      protection: () => call('protection'),
      quit: (): Promise<number | null> => {
        send({ quit: true });
        return exited;
      },
    };
  }

  test('opens its page without Node.js, and with two functions', async () => {
    const app = await startApp();
    expect(app.loaded).toEqual({
      loaded: pathToFileURL(path.join(directory, 'index.html')).href,
      webPreferences: {
        preload: path.join(directory, 'compiled/preload.js'),
        contextIsolation: true,
        sandbox: true,
        nodeIntegration: false,
      },
      exposed: { remoteControl: ['protection', 'connect'] },
    });
    app.send({ closeWindow: true });
    expect(await app.exited).toBe(0);
  });

  test('tells its page whether the machine can protect a key', async () => {
    const app = await startApp();
    expect(await app.protection()).toEqual({ hardware: true, reason: null });
    await tpm.kill();
    expect(await app.protection()).toEqual({
      hardware: false,
      reason: expect.stringMatching(/TPM/) as string,
    });
    await app.quit();
  });

  test('shows no other page, and opens no other window', async () => {
    const app = await startApp();
    expect(await app.isAllowed({ navigate: 'https://evil.test/' })).toBe(false);
    expect(await app.isAllowed({ open: 'https://evil.test/' })).toBe(false);
    await app.quit();
  });

  test.each<[string, (page: string) => Frame]>([
    ['another page', () => ({ url: 'https://evil.test/', parent: null })],
    ['another file', (page) => ({ url: new URL('other.html', page).href, parent: null })],
    ['a frame in the page', (page) => ({ url: page, parent: {} })],
  ])('answers nothing to %s', async (_, frame) => {
    const app = await startApp();
    app.send({ frame: frame(app.loaded.loaded) });
    await expect(app.connect()).rejects.toThrow('The sender is not the page of this app.');
    await expect(app.protection()).rejects.toThrow('The sender is not the page of this app.');
    expect(audit).toEqual([]);
    await app.quit();
  });

  const connected = { ok: true, token: expect.any(String) as string };
  const keyFiles = () => readdir(path.join(userData, 'device-keys'));

  test('enrolls a key once and proves possession at each connection', async () => {
    const first = await startApp();
    expect(await first.connect()).toEqual(connected);
    expect(await first.connect()).toEqual(connected);
    expect(await first.quit()).toBe(0);
    const keys = await keyFiles();
    expect(keys).toHaveLength(1);

    const second = await startApp(); // swtpm serves one process: the first has released it
    expect(await second.connect()).toEqual(connected);
    expect(await second.quit()).toBe(0);
    expect(await keyFiles()).toEqual(keys);
    expect([refusals(), first.errorBoxes, second.errorBoxes]).toEqual([[], [], []]);
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

  test('shows the message of an error, and works once the cause is removed', async () => {
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

  test('deletes a key that its backend refused', async () => {
    const app = await startApp();
    const refused = await app.connect({ ...account, accountUserId: 'user-other' });
    expect(refused).toMatchObject({ ok: false, message: expect.stringContaining('401') as string });
    expect(await keyFiles()).toEqual([]);
    expect(refusals()).toEqual(['account_user_id_mismatch']);
    await app.quit();
  });
});

describe('the backend example', () => {
  const clientPath = '/wham/remote/control/client';
  const signer = new SoftwareSigner();

  async function post(urlPath: string, bearer: string, body: unknown) {
    const response = await fetch(backend.origin + urlPath, {
      method: 'POST',
      // An open connection does not survive a restart of the backend.
      headers: { authorization: `Bearer ${bearer}`, connection: 'close' },
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
  /** The result of `create` for a key. */
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

  test('accepts an enrollment, and connections of the enrolled key', async () => {
    expect((await enroll()).status).toBe(200);
    expect((await connect()).body).toEqual({ connected: true });
    expect((await connect()).body).toEqual({ connected: true });
    expect(refusals()).toEqual([]);
  });

  /** Refusals give the client no other information; the audit log has the reason. */
  function expectRefused(response: { status: number; text: string }, status: number, code: string) {
    expect([response.status, response.text]).toEqual([status, '']);
    expect(refusals()).toEqual([code]);
    audit = [];
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
    expectRefused(await connect(), 401, 'key_not_enrolled');
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

  test('refuses a signature by another key', async () => {
    await enroll();
    expectRefused(await connect(new SoftwareSigner()), 401, 'signature_mismatch');
  });

  test('refuses a used proof', async () => {
    await enroll();
    const { token, body } = await connectionOf(signer);
    expect((await post(clientPath, token, body)).status).toBe(200);
    expectRefused(await post(clientPath, token, body), 401, 'nonce_replayed');
  });

  test('refuses a challenge that was used before, or by another client', async () => {
    const request = await enrollmentOf(signer);
    expectRefused(
      await post(`${clientPath}/enroll`, 'login-of-user-other', request),
      401,
      'challenge_unknown',
    );
    expectRefused(await post(`${clientPath}/enroll`, login, request), 401, 'challenge_unknown');
  });

  test('requires more than a login to replace the key of a device', async () => {
    await enroll();
    expectRefused(await enroll(new SoftwareSigner()), 409, 'client_already_enrolled');
    expect((await connect()).status).toBe(200);
  });

  test('accepts a key for one client only', async () => {
    await enroll();
    const request = await enrollmentOf(signer, { clientId: 'cli_other' }, 'cli_other');
    expectRefused(await post(`${clientPath}/enroll`, login, request), 409, 'key_already_enrolled');
  });

  test('requires the token of the session', async () => {
    await enroll();
    const { body } = await connectionOf(signer);
    expectRefused(await post(clientPath, 'other', body), 401, 'session_unknown');
    expectRefused(await post(clientPath, login, body), 401, 'session_unknown');
  });

  test.each<[string, string, string, unknown, number, string]>([
    ['an unknown login', '/enroll/start', 'nobody', { clientId: 'c' }, 401, 'login_unknown'],
    ['no client', '/start', login, {}, 400, 'request_malformed'],
    ['a client that is no text', '/start', login, { clientId: '\ud800' }, 400, 'request_malformed'],
    ['no JSON', '/enroll', login, 'text', 400, 'request_malformed'],
    ['an array', '/start', login, [], 400, 'request_malformed'],
    ['a long request', '/enroll', login, { proof: 'x'.repeat(20_000) }, 413, 'request_too_long'],
    ['another path', '/elsewhere', login, {}, 404, 'not_found'],
  ])('refuses %s', async (_, urlPath, bearer, body, status, code) => {
    expectRefused(await post(clientPath + urlPath, bearer, body), status, code);
  });

  test('answers a malformed proof with an error', async () => {
    await enroll();
    for (const proof of [undefined, null, 7, {}, { signedPayloadBase64: {} }]) {
      const { token, body } = await connectionOf(signer);
      expectRefused(await post(clientPath, token, { ...body, proof }), 401, 'proof_malformed');
    }
  });

  test('accepts a repeated enrollment of a client that did not get the answer', async () => {
    expect((await enroll()).status).toBe(200);
    expect((await enroll()).status).toBe(200);
    expect(await backend.registry.list(account.accountUserId)).toHaveLength(1);
  });

  test('refuses a key that was revoked, and its enrollment', async () => {
    await enroll();
    await backend.registry.revoke(signer.publicKeySpkiDerBase64);
    expectRefused(await connect(), 401, 'key_not_enrolled');
    expectRefused(await enroll(), 409, 'key_already_enrolled');
  });

  describe('a successor', () => {
    /** An enrollment of `successor` with a proof by `old`. */
    async function rotationOf(old: SoftwareSigner, successor: SoftwareSigner) {
      const request = await enrollmentOf(successor);
      const identity = deviceIdentitySha256(enrolledAs(successor));
      const agreement = await enrollmentOf(old, { deviceIdentitySha256Base64url: identity });
      const { challengeId, proof } = agreement;
      return { ...request, predecessor: { challengeId, proof } };
    }
    const send = (request: object) => post(`${clientPath}/enroll`, login, request);

    test('replaces the key that names it', async () => {
      await enroll();
      const successor = new SoftwareSigner();
      expect((await send(await rotationOf(signer, successor))).status).toBe(200);
      expect((await connect(successor)).status).toBe(200);
      expectRefused(await connect(signer), 401, 'signature_mismatch');
    });

    test('that another key names is refused', async () => {
      await enroll();
      const thief = new SoftwareSigner();
      expectRefused(await send(await rotationOf(thief, thief)), 401, 'signature_mismatch');
      expect((await connect(signer)).status).toBe(200);
    });
  });

  describe('a restart', () => {
    async function restart(): Promise<void> {
      const { port } = new URL(backend.origin);
      await backend.close();
      await start(Number(port));
    }

    test('forgets no key, no challenge and no session', async () => {
      const enrollment = await enrollmentOf(signer);
      await restart();
      expect((await post(`${clientPath}/enroll`, login, enrollment)).status).toBe(200);
      const { token, body } = await connectionOf(signer);
      await restart();
      expect((await post(clientPath, token, body)).status).toBe(200);
    });

    test('forgets no nonce', async () => {
      await enroll();
      const { token, body } = await connectionOf(signer);
      expect((await post(clientPath, token, body)).status).toBe(200);
      await restart();
      expectRefused(await post(clientPath, token, body), 401, 'nonce_replayed');
    });
  });

  describe('the audit log', () => {
    test('has the signed statement, in a form that anyone can verify', async () => {
      await enroll();
      const { token, body } = await connectionOf(signer);
      await post(clientPath, token, body);
      const line = audit.at(-1)!;
      expect(line).toMatchObject({ operation: 'connect', code: 'accepted' });
      expect(line).toMatchObject({ accountUserId: 'user-7f3a', clientId: 'cli_42' });
      const signed = verifyDeviceKeySignature({
        algorithm: 'ecdsa_p256_sha256',
        ...(line as Record<'publicKeySpkiDerBase64', string>),
        ...(line as Record<'signedPayloadBase64' | 'signatureDerBase64', string>),
      });
      expect(Buffer.from(signed).toString()).toContain(sha256(token));
    });

    test('has the signed statement of a refused proof too', async () => {
      await enroll();
      await connect(signer, { targetOrigin: 'https://evil.test' });
      const { signedPayloadBase64 } = audit.at(-1) as Record<string, string>;
      expect(Buffer.from(signedPayloadBase64!, 'base64').toString()).toContain('evil.test');
    });

    test.each<[string, (secret: string) => object]>([
      ['in its statement', (secret) => ({ proof: signer.signPayload({ nonce: secret }) })],
      ['as its statement', (secret) => ({ proof: { signedPayloadBase64: secret } })],
      ['in an object', (secret) => ({ proof: { signatureDerBase64: { a: [secret] } } })],
      ['as the id of the session', (secret) => ({ sessionId: secret })],
    ])('never has the token, also where a client puts it %s', async (_, changes) => {
      await enroll();
      const { token, body } = await connectionOf(signer);
      await post(clientPath, token, { ...body, ...changes(token) });
      await post(clientPath, token, body);
      const all = JSON.stringify(audit);
      const encodings = [token, Buffer.from(token).toString('base64').slice(0, -4)];
      for (const secret of [...encodings, login]) expect(all).not.toContain(secret);
      const decoded = Array.from(all.matchAll(/[\w+/=-]{40,}/g), ([text]) =>
        Buffer.from(text, 'base64').toString('latin1'),
      );
      expect(decoded.join()).not.toContain(token);
    });

    test('never has the login, also where a client puts it as its id', async () => {
      await post(`${clientPath}/start`, login, { clientId: login });
      expect(JSON.stringify(audit)).not.toContain(login);
      expect(audit).toHaveLength(1);
    });
  });

  test('counts its decisions, for Prometheus', async () => {
    await enroll();
    await connect();
    await connect(new SoftwareSigner());
    const response = await fetch(`${backend.origin}/metrics`);
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4');
    const lines = (await response.text()).split('\n');
    expect(lines).toEqual(
      expect.arrayContaining([
        '# TYPE device_key_requests_total counter',
        'device_key_requests_total{operation="enroll",code="accepted"} 1',
        'device_key_requests_total{operation="connect",code="accepted"} 1',
        'device_key_requests_total{operation="connect",code="signature_mismatch"} 1',
        'device_key_proofs_total{type="remoteControlClientEnrollment",code="accepted"} 1',
        'device_key_proofs_total{type="remoteControlClientConnection",code="signature_mismatch"} 1',
        'device_key_verification_seconds_bucket{le="+Inf"} 3',
        'device_key_verification_seconds_count 3',
      ]),
    );
    const sample = /^[a-z_]+(\{[a-z]+="[\w+.]+"(,[a-z]+="\w+")*\})? [\d.e-]+$/;
    expect(
      lines.filter((line) => !/^(# (HELP|TYPE) .+|)$/.test(line) && !sample.test(line)),
    ).toEqual([]);
  });
});
