/**
 * A backend that enrolls device keys, and at each connection wants a proof made with one.
 *
 *   POST …/client/enroll/start  login, { clientId }   → { challengeId, nonce, challengeExpiresAt }
 *   POST …/client/enroll        login, { challengeId, key, proof }   → {}
 *   POST …/client/start         login, { clientId }   → { sessionId, nonce, token, tokenExpiresAt }
 *   POST …/client               token, { sessionId, proof }                   → { connected: true }
 *
 * Login and token are sent as `Authorization: Bearer …`. What is in maps here is a database
 * elsewhere; several processes also need a shared nonce store (docs/verify.md). What matters: the
 * expectations below are made of this backend's own records alone, never of what the client says.
 */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

import type { DeviceKeyPublicResponse, DeviceKeySignResponse } from 'node-device-key';
import {
  DeviceKeyVerificationError,
  InMemoryNonceStore,
  deviceIdentitySha256,
  verifyDeviceKeyProof,
} from 'node-device-key/verify';

const CLIENT_PATH = '/wham/remote/control/client';
const ENROLL_PATH = `${CLIENT_PATH}/enroll`;
const CHALLENGE_SECONDS = 120;
const TOKEN_SECONDS = 600;
const MAX_BODY_BYTES = 16 * 1024; // a proof is around 1 kB

/** The installation of an app on which an account is logged in. */
interface Client {
  accountUserId: string;
  clientId: string;
}
interface Challenge extends Client {
  nonce: string;
  challengeExpiresAt: number;
}
interface Session extends Client {
  nonce: string;
  tokenSha256Base64url: string;
  tokenExpiresAt: number;
}

/** Ends a request with this status. The client learns nothing more. */
class Refused extends Error {
  override readonly name = 'Refused';

  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

export interface BackendOptions {
  /** Who may enroll: login secret → account. */
  logins: ReadonlyMap<string, string>;
  /** Where refusals and their reasons go. Never answer with them: they help whoever is guessing. */
  log: (line: string) => void;
}

/** Starts on a free port of loopback. */
export async function startBackend({ logins, log }: BackendOptions) {
  const challenges = new Map<string, Challenge>();
  const sessions = new Map<string, Session>();
  const publicKeys = new Map<string, string>(); // by nameOf(client)
  const nonces = new InMemoryNonceStore();

  const server = createServer((request, response) => {
    handle(request).then(
      (body) => response.writeHead(200, { 'content-type': 'application/json' }).end(body),
      (error: unknown) => {
        log(error instanceof Error ? `${codeOf(error)}: ${error.message}` : String(error));
        response.writeHead(statusOf(error)).end();
      },
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  async function handle(request: IncomingMessage): Promise<string> {
    const body = await readJson(request);
    switch (`${request.method ?? ''} ${request.url ?? ''}`) {
      case `POST ${ENROLL_PATH}/start`:
        return JSON.stringify(startEnrollment(clientOf(request, body)));
      case `POST ${ENROLL_PATH}`:
        return JSON.stringify(await finishEnrollment(accountOf(request), body));
      case `POST ${CLIENT_PATH}/start`:
        return JSON.stringify(startSession(clientOf(request, body)));
      case `POST ${CLIENT_PATH}`:
        return JSON.stringify(await connect(bearerOf(request), body));
      default:
        throw new Refused(404, 'no such path');
    }
  }

  function startEnrollment(client: Client) {
    const challengeId = newSecret();
    const challenge = {
      ...client,
      nonce: newSecret(),
      challengeExpiresAt: inSeconds(CHALLENGE_SECONDS),
    };
    challenges.set(challengeId, challenge);
    const { nonce, challengeExpiresAt } = challenge;
    return { challengeId, nonce, challengeExpiresAt };
  }

  async function finishEnrollment(accountUserId: string, body: Record<string, unknown>) {
    const challengeId = textOf(body, 'challengeId');
    const challenge = takeFrom(challenges, challengeId);
    if (challenge.accountUserId !== accountUserId) throw new Refused(401, 'not their challenge');
    const key = keyOf(body);
    const { publicKeySpkiDerBase64 } = key;
    await verifyDeviceKeyProof(
      proofOf(body),
      {
        publicKeySpkiDerBase64,
        type: 'remoteControlClientEnrollment',
        audience: 'remote_control_client_enrollment',
        nonce: challenge.nonce,
        challengeId,
        targetOrigin: origin,
        targetPath: ENROLL_PATH,
        accountUserId,
        clientId: challenge.clientId,
        challengeExpiresAt: challenge.challengeExpiresAt,
        deviceIdentitySha256Base64url: deviceIdentitySha256(key),
      },
      { nonces },
    );
    // Whoever has only a login must not be able to put a key of their own in place of a device's.
    if (publicKeys.has(nameOf(challenge))) throw new Refused(409, 'enrolled already; revoke first');
    // A key is for one account: that of another is a record that was copied, or a mistake.
    if ([...publicKeys.values()].includes(publicKeySpkiDerBase64)) {
      throw new Refused(409, 'the key is enrolled for another client');
    }
    publicKeys.set(nameOf(challenge), publicKeySpkiDerBase64);
    return {};
  }

  function startSession(client: Client) {
    const sessionId = newSecret();
    const token = newSecret();
    const session = {
      ...client,
      nonce: newSecret(),
      tokenSha256Base64url: sha256(token), // what is stored cannot be used to log in
      tokenExpiresAt: inSeconds(TOKEN_SECONDS),
    };
    sessions.set(sessionId, session);
    return { sessionId, nonce: session.nonce, token, tokenExpiresAt: session.tokenExpiresAt };
  }

  async function connect(token: string, body: Record<string, unknown>) {
    const sessionId = textOf(body, 'sessionId');
    const session = sessions.get(sessionId);
    if (session?.tokenSha256Base64url !== sha256(token)) throw new Refused(401, 'no such session');
    const publicKeySpkiDerBase64 = publicKeys.get(nameOf(session));
    if (!publicKeySpkiDerBase64) throw new Refused(401, 'no key is enrolled');
    await verifyDeviceKeyProof(
      proofOf(body),
      {
        publicKeySpkiDerBase64,
        type: 'remoteControlClientConnection',
        audience: 'remote_control_client_websocket',
        nonce: session.nonce,
        sessionId,
        targetOrigin: origin,
        targetPath: CLIENT_PATH,
        accountUserId: session.accountUserId,
        clientId: session.clientId,
        tokenSha256Base64url: session.tokenSha256Base64url,
        tokenExpiresAt: session.tokenExpiresAt,
        scopes: ['remote_control_controller_websocket'],
      },
      { nonces },
    );
    return { connected: true };
  }

  function accountOf(request: IncomingMessage): string {
    const accountUserId = logins.get(bearerOf(request));
    if (accountUserId === undefined) throw new Refused(401, 'no such login');
    return accountUserId;
  }

  function clientOf(request: IncomingMessage, body: Record<string, unknown>): Client {
    return { accountUserId: accountOf(request), clientId: textOf(body, 'clientId') };
  }

  return {
    origin,
    async close(): Promise<void> {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

function codeOf(error: Error): string {
  return error instanceof DeviceKeyVerificationError ? error.code : error.name;
}

function statusOf(error: unknown): number {
  if (error instanceof Refused) return error.status;
  if (!(error instanceof DeviceKeyVerificationError)) return 500; // a mistake in this file
  return error.code === 'nonce_store_failed' ? 503 : 401;
}

const newSecret = (): string => randomBytes(32).toString('base64url');
const sha256 = (data: string): string => createHash('sha256').update(data).digest('base64url');
const inSeconds = (seconds: number): number => Math.floor(Date.now() / 1000) + seconds;

/** As JSON, so that no pair of ids reads like another pair. */
const nameOf = ({ accountUserId, clientId }: Client): string =>
  JSON.stringify([accountUserId, clientId]);

const bearerOf = (request: IncomingMessage): string =>
  /^Bearer (\S+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';

/** The verifier trusts nothing about its shape. */
const proofOf = (body: Record<string, unknown>): DeviceKeySignResponse =>
  body['proof'] as DeviceKeySignResponse;

/** The key as the client's `create` answered it. The proof says the same, or is refused. */
function keyOf(body: Record<string, unknown>): DeviceKeyPublicResponse {
  const key = body['key'];
  if (typeof key !== 'object' || key === null) throw new Refused(400, 'key: not an object');
  const members = key as Record<string, unknown>;
  return {
    keyId: textOf(members, 'keyId'),
    publicKeySpkiDerBase64: textOf(members, 'publicKeySpkiDerBase64'),
    algorithm: textOf(members, 'algorithm') as DeviceKeyPublicResponse['algorithm'],
    protectionClass: textOf(
      members,
      'protectionClass',
    ) as DeviceKeyPublicResponse['protectionClass'],
  };
}

function textOf(body: Record<string, unknown>, member: string): string {
  const value = body[member];
  if (typeof value !== 'string' || value === '') throw new Refused(400, `${member}: not a string`);
  return value;
}

/** What is taken is gone: a challenge is for one attempt. */
function takeFrom<Value>(map: Map<string, Value>, key: string): Value {
  const value = map.get(key);
  if (value === undefined) throw new Refused(401, 'not known, or used before');
  map.delete(key);
  return value;
}

async function readJson(request: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw new Refused(413, 'too long');
    chunks.push(chunk);
  }
  try {
    const body: unknown = JSON.parse(Buffer.concat(chunks).toString());
    if (typeof body === 'object' && body !== null) return body as Record<string, unknown>;
  } catch {
    // refused below
  }
  throw new Refused(400, 'not a JSON object');
}
