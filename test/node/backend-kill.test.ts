// Kills the example backend under load and restarts it: it loses nothing that it has confirmed.
// `DEVICE_KEY_TEST_KILLS=20` runs the full test.
import { spawn, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import ts from 'typescript';

import { deviceIdentitySha256 } from '../../lib/verify';
import { SoftwareSigner } from '../support/software-signer';

const kills = Number(process.env['DEVICE_KEY_TEST_KILLS'] ?? 3);
const root = path.join(__dirname, '../..');
const clientPath = '/wham/remote/control/client';
const login = 'login-of-user-7f3a';
const accountUserId = 'user-7f3a';
const sha256 = (data: string | Buffer) => createHash('sha256').update(data).digest('base64url');
const newNode = path.join(root, '.cache/bundlers/node_modules/node-24/bin/node');

/** The example as a program, with its audit log from all its runs. */
class Backend {
  readonly audit: Record<string, string>[] = [];
  origin = '';
  #child: ChildProcess | undefined;
  #logged: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly node: string,
    private readonly directory: string,
  ) {}

  async start(): Promise<void> {
    const child = spawn(this.node, [path.join(this.directory, 'main.js')], {
      env: {
        PORT: this.origin === '' ? '0' : new URL(this.origin).port,
        DATABASE_FILE: path.join(this.directory, 'backend.db'),
        LOGINS: JSON.stringify({ [login]: accountUserId }),
        NODE_NO_WARNINGS: '1', // Node.js 24 warns that node:sqlite is experimental
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    const lines = createInterface({ input: child.stdout });
    lines.on('line', (line) => {
      // The last line of a killed process can be incomplete.
      if (line.endsWith('}')) this.audit.push(JSON.parse(line) as Record<string, string>);
    });
    this.#logged = once(lines, 'close');
    const [text] = (await once(child.stderr, 'data')) as [Buffer];
    this.origin = text.toString().trim();
    if (!this.origin.startsWith('http:')) throw new Error(this.origin);
  }

  async kill(): Promise<void> {
    if (!this.#child) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    this.#child = undefined;
    await exited;
    await this.#logged;
  }
}

/** `undefined`: there was no answer, so the decision is unknown. */
type Answer = { status: number; body: Started } | undefined;

/** The backend's answer to a start; the members of the payload are strings and numbers. */
interface Started {
  challengeId: string;
  sessionId: string;
  nonce: string;
  token: string;
}

interface ConnectionRequest {
  token: string;
  body: object;
  nonce: string;
}

/** Clients that enroll, rotate and connect, and the answers that they got. */
class Load {
  /** By client: keys of which exactly one must be in force. */
  readonly enrolled = new Map<string, SoftwareSigner[]>();
  readonly requests: ConnectionRequest[] = [];
  /** How often a connection with this nonce was answered with 200. */
  readonly accepted = new Map<string, number>();
  answers = 0;
  over = false;

  constructor(private readonly backend: Backend) {}

  /** One client after the other, each with new keys, until the test ends. */
  async run(name: string): Promise<void> {
    for (let i = 0; !this.over; i += 1) {
      const clientId = `${name}-${i}`;
      const key = new SoftwareSigner();
      const request = await this.enrollment(clientId, key, key);
      if ((await this.post(`${clientPath}/enroll`, login, request))?.status !== 200) continue;
      this.enrolled.set(clientId, [key]);
      const inForce = i % 3 === 0 ? await this.rotate(clientId, key) : key;
      for (let connections = 0; connections < 3 && inForce; connections += 1) {
        const connection = await this.connection(clientId, inForce);
        // Twice at the same time, and an older one again.
        const older = this.requests[Math.floor(Math.random() * this.requests.length)];
        const sent = [connection, connection, older].filter((it) => it !== undefined);
        await Promise.all(sent.map((it) => this.connect(it)));
      }
    }
  }

  async connect({ token, body, nonce }: ConnectionRequest): Promise<Answer> {
    const answer = await this.post(clientPath, token, body);
    if (answer?.status === 200) this.accepted.set(nonce, (this.accepted.get(nonce) ?? 0) + 1);
    return answer;
  }

  async connection(clientId: string, key: SoftwareSigner): Promise<ConnectionRequest | undefined> {
    const started = await this.post(`${clientPath}/start`, login, { clientId });
    if (started?.status !== 200) return undefined;
    const { token, ...said } = started.body;
    const proof = key.signPayload({
      type: 'remoteControlClientConnection',
      audience: 'remote_control_client_websocket',
      ...said,
      ...{ targetOrigin: this.backend.origin, targetPath: clientPath, accountUserId, clientId },
      tokenSha256Base64url: sha256(token),
      scopes: ['remote_control_controller_websocket'],
    });
    const request = { token, body: { sessionId: said.sessionId, proof }, nonce: said.nonce };
    this.requests.push(request);
    return request;
  }

  /** Resolves to the key in force, or to undefined if there was no answer. */
  private async rotate(clientId: string, key: SoftwareSigner): Promise<SoftwareSigner | undefined> {
    const successor = new SoftwareSigner();
    const request = await this.enrollment(clientId, successor, successor);
    const predecessor = await this.enrollment(clientId, successor, key);
    this.enrolled.set(clientId, [key, successor]);
    const path = `${clientPath}/enroll`;
    const answer = await this.post(path, login, { ...request, predecessor });
    if (!answer) return undefined;
    const inForce = answer.status === 200 ? successor : key;
    this.enrolled.set(clientId, [inForce]);
    return inForce;
  }

  private async enrollment(clientId: string, key: SoftwareSigner, signer: SoftwareSigner) {
    const challenge = (await this.post(`${clientPath}/enroll/start`, login, { clientId }))?.body;
    const publicKey = {
      keyId: `dk_tpm_${sha256(key.spki)}`,
      publicKeySpkiDerBase64: key.publicKeySpkiDerBase64,
      algorithm: 'ecdsa_p256_sha256',
      protectionClass: 'hardware_tpm',
    } as const;
    const proof = signer.signPayload({
      type: 'remoteControlClientEnrollment',
      audience: 'remote_control_client_enrollment',
      ...challenge,
      ...{ accountUserId, clientId },
      ...{ targetOrigin: this.backend.origin, targetPath: `${clientPath}/enroll` },
      deviceIdentitySha256Base64url: deviceIdentitySha256(publicKey),
    });
    return { challengeId: challenge?.challengeId, key: publicKey, proof };
  }

  private async post(urlPath: string, bearer: string, body: object): Promise<Answer> {
    try {
      const response = await fetch(this.backend.origin + urlPath, {
        method: 'POST',
        headers: { authorization: `Bearer ${bearer}` },
        body: JSON.stringify(body),
      });
      const text = await response.text();
      this.answers += 1;
      return { status: response.status, body: JSON.parse(text || '{}') as Started };
    } catch {
      await delay(20);
      return undefined;
    }
  }
}

/** Up to 16 at a time. */
async function inBatches<T>(items: T[], run: (item: T) => Promise<unknown>): Promise<void> {
  for (let i = 0; i < items.length; i += 16) await Promise.all(items.slice(i, i + 16).map(run));
}

const runs = [
  ['better-sqlite3', process.execPath, true],
  ['node:sqlite of Node.js 24', newNode, existsSync(newNode)],
] as const;

describe.each(runs)('with %s', (_, node, there) => {
  let directory: string;
  let backend: Backend;
  let load: Load;
  // Below the package's root, where `node-device-key` is this package.
  beforeEach(async () => {
    await mkdir(path.join(root, '.cache'), { recursive: true });
    directory = await mkdtemp(path.join(root, '.cache/backend-'));
    const example = path.join(root, 'examples/backend');
    for (const file of await readdir(example)) {
      const { outputText } = ts.transpileModule(await readFile(path.join(example, file), 'utf8'), {
        compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.CommonJS },
      });
      await writeFile(path.join(directory, file.replace(/\.ts$/, '.js')), outputText);
    }
    backend = new Backend(node, directory);
    await backend.start();
    load = new Load(backend);
  });
  afterEach(async () => {
    load.over = true;
    await backend.kill();
    await rm(directory, { recursive: true });
  });

  const testIfThere = there ? test : test.skip;
  testIfThere(
    `killed ${kills} times: no nonce is accepted twice, and no enrolled key is lost`,
    async () => {
      const clients = Array.from({ length: 12 }, (__, i) => load.run(`client-${i}`));
      for (let i = 0; i < kills; i += 1) {
        // During the load, each time at a random moment.
        const answers = load.answers + 100 + 7 * i;
        while (load.answers < answers) await delay(5);
        await backend.kill();
        await backend.start();
        await inBatches(load.requests.slice(-50), (request) => load.connect(request));
      }
      load.over = true;
      await Promise.all(clients);

      await inBatches(load.requests, (request) => load.connect(request));
      const twice = Array.from(load.accepted.values()).filter((count) => count > 1);
      expect(twice).toEqual([]);
      const inForce = new Map<string, number>();
      await inBatches([...load.enrolled], async ([clientId, keys]) => {
        let count = 0;
        for (const key of keys) {
          const request = await load.connection(clientId, key);
          if (request && (await load.connect(request))?.status === 200) count += 1;
        }
        inForce.set(clientId, count);
      });
      expect(Array.from(inForce).filter(([, count]) => count !== 1)).toEqual([]);

      await backend.kill();
      const accepted = backend.audit.filter(
        ({ operation, code }) => operation === 'connect' && code === 'accepted',
      );
      // Accepted requests without an answer count too.
      expect(accepted.length).toBeGreaterThanOrEqual(load.accepted.size);
      const statements = accepted.map(({ signedPayloadBase64 }) => signedPayloadBase64);
      expect(new Set(statements).size).toBe(statements.length);
      expect(backend.audit.filter(({ code }) => code === 'internal_error')).toEqual([]);
      if (process.env['DEVICE_KEY_TEST_KILLS'] !== undefined) {
        const count = { kills, answers: load.answers, enrolled: load.enrolled.size };
        console.log({ ...count, proofs: load.requests.length, accepted: accepted.length });
      }
    },
    30_000 + kills * 30_000,
  );
});
