/**
 * A backend that enrolls device keys, and requires a proof by an enrolled key for each connection.
 *
 *   POST …/client/enroll/start  login, { clientId }   → { challengeId, nonce, challengeExpiresAt }
 *   POST …/client/enroll        login, { challengeId, key, proof, predecessor? }   → {}
 *   POST …/client/start         login, { clientId }   → { sessionId, nonce, token, tokenExpiresAt }
 *   POST …/client               token, { sessionId, proof }                   → { connected: true }
 *   GET  /metrics               Prometheus' text format; keep it off the public address
 *
 * Login and token are sent as `Authorization: Bearer …`. `predecessor` is { challengeId, proof }:
 * the client's current key signs that the new key replaces it, with a separate challenge.
 *
 * Everything is stored in one SQLite file, so nothing is lost by a restart. Important: the
 * expectations below come only from this backend's own records, never from the client.
 */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

import type { DeviceKeyPublicResponse, DeviceKeySignResponse } from 'node-device-key';
import {
  DeviceKeyVerificationError,
  SqliteKeyRegistry,
  SqliteNonceStore,
  deviceIdentitySha256,
  verifyDeviceKeyProof,
} from 'node-device-key/verify';

import { auditLine, type Evidence } from './audit';
import { openDatabase } from './database';
import { Metrics } from './metrics';
import { Records } from './records';

const CLIENT_PATH = '/wham/remote/control/client';
const ENROLL_PATH = `${CLIENT_PATH}/enroll`;
const CHALLENGE_SECONDS = 120;
const TOKEN_SECONDS = 600;
const SWEEP_MS = 300_000;
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

/** A refusal by this backend itself. The verifier and the registry have their own codes. */
type RefusalCode =
  | 'not_found'
  | 'request_malformed'
  | 'request_too_long'
  | 'login_unknown'
  | 'challenge_unknown'
  | 'session_unknown';

class Refused extends Error {
  override readonly name = 'Refused';

  constructor(
    readonly code: RefusalCode,
    message: string,
  ) {
    super(message);
  }
}

/** HTTP statuses by code; 401 for all others. The client gets no other information. */
const STATUS: Record<string, number> = {
  not_found: 404,
  request_malformed: 400,
  request_too_long: 413,
  key_already_enrolled: 409,
  client_already_enrolled: 409,
  nonce_store_failed: 503,
  key_registry_failed: 503,
  internal_error: 500,
};

const OPERATIONS: Record<string, string> = {
  [`POST ${ENROLL_PATH}/start`]: 'start_enrollment',
  [`POST ${ENROLL_PATH}`]: 'enroll',
  [`POST ${CLIENT_PATH}/start`]: 'start_session',
  [`POST ${CLIENT_PATH}`]: 'connect',
};

export interface BackendOptions {
  /** The logins that may enroll: login secret → account. */
  logins: ReadonlyMap<string, string>;
  /** The SQLite file with all data of the backend. It is created if it does not exist. */
  databaseFile: string;
  /** On loopback. Default: a free port. */
  port?: number;
  /**
   * Called with one line of JSON for each request: the decision, its subject, and the signed
   * statement. Never send it to a client: it helps an attacker.
   */
  audit: (line: string) => void;
}

export async function startBackend({ logins, databaseFile, port = 0, audit }: BackendOptions) {
  const database = openDatabase(databaseFile);
  const nonces = new SqliteNonceStore(database);
  const registry = new SqliteKeyRegistry(database);
  const challenges = new Records<Challenge>(database, 'challenges');
  const sessions = new Records<Session>(database, 'sessions');
  const sweeper = setInterval(() => {
    for (const store of [nonces, challenges, sessions]) store.sweep();
  }, SWEEP_MS);
  const metrics = new Metrics();
  const verification = { nonces, onDecision: metrics.countProof };

  const server = createServer((request, response) => {
    if (request.url === '/metrics') {
      const type = 'text/plain; version=0.0.4';
      response.writeHead(200, { 'content-type': type }).end(metrics.toString());
      return;
    }
    const operation = OPERATIONS[`${request.method ?? ''} ${request.url ?? ''}`] ?? 'none';
    const evidence: Evidence = {};
    const decided = (code: string, error?: unknown) => {
      metrics.countRequest(operation, code);
      audit(auditLine({ operation, code, error, evidence, secret: bearerOf(request) }));
    };
    handle(operation, request, evidence)
      .then((body) => {
        decided('accepted');
        response.writeHead(200, { 'content-type': 'application/json' });
        response.end(JSON.stringify(body));
      })
      .catch((error: unknown) => {
        const code = codeOf(error);
        decided(code, error);
        response.writeHead(STATUS[code] ?? 401).end();
      });
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  /** Adds the subject of the decision to `evidence`, as soon as it is known. */
  async function handle(operation: string, request: IncomingMessage, evidence: Evidence) {
    const body = await readJson(request);
    switch (operation) {
      case 'start_enrollment':
        return startEnrollment(clientOf(request, body, evidence));
      case 'enroll':
        return finishEnrollment(accountOf(request), body, evidence);
      case 'start_session':
        return startSession(clientOf(request, body, evidence));
      case 'connect':
        return connect(bearerOf(request), body, evidence);
      default:
        throw new Refused('not_found', 'no such path');
    }
  }

  function startEnrollment(client: Client) {
    const challengeId = newSecret();
    const nonce = newSecret();
    const challengeExpiresAt = inSeconds(CHALLENGE_SECONDS);
    challenges.put(challengeId, { ...client, nonce, challengeExpiresAt }, challengeExpiresAt);
    return { challengeId, nonce, challengeExpiresAt };
  }

  /** Removes the challenge: it is for one attempt. */
  function takeChallenge(accountUserId: string, body: Record<string, unknown>) {
    const challengeId = textOf(body, 'challengeId');
    const challenge = challenges.take(challengeId);
    if (challenge?.accountUserId !== accountUserId) {
      throw new Refused('challenge_unknown', 'not known, used before, or of another account');
    }
    const { clientId, nonce, challengeExpiresAt } = challenge;
    const target = { targetOrigin: origin, targetPath: ENROLL_PATH };
    return { clientId, challenge: { challengeId, nonce, challengeExpiresAt, ...target } };
  }

  async function finishEnrollment(
    accountUserId: string,
    body: Record<string, unknown>,
    evidence: Evidence,
  ) {
    const { clientId, challenge } = takeChallenge(accountUserId, body);
    const key = keyOf(body);
    const { publicKeySpkiDerBase64 } = key;
    const client = { accountUserId, clientId };
    Object.assign(evidence, client, { publicKeySpkiDerBase64, proof: body['proof'] });
    await verifyDeviceKeyProof(
      proofOf(body),
      {
        publicKeySpkiDerBase64,
        type: 'remoteControlClientEnrollment',
        audience: 'remote_control_client_enrollment',
        ...challenge,
        ...client,
        deviceIdentitySha256Base64url: deviceIdentitySha256(key),
      },
      verification,
    );
    if (body['predecessor'] !== undefined) {
      const predecessor = objectIn(body, 'predecessor');
      const own = takeChallenge(accountUserId, predecessor);
      evidence.predecessorProof = predecessor['proof'];
      await registry.rotate({ ...client, key }, proofOf(predecessor), own.challenge, verification);
      return {};
    }
    try {
      await registry.enroll({ ...client, key });
    } catch (error) {
      // A client that did not get the response enrolls its key again. It has just proven that it
      // has the key.
      if (codeOf(error) !== 'key_already_enrolled') throw error;
      const inForce = await registry.inForce(client);
      if (inForce?.publicKeySpkiDerBase64 !== publicKeySpkiDerBase64) throw error;
    }
    return {};
  }

  function startSession(client: Client) {
    const sessionId = newSecret();
    const token = newSecret();
    const session = {
      ...client,
      nonce: newSecret(),
      tokenSha256Base64url: sha256(token), // the stored hash cannot be used to log in
      tokenExpiresAt: inSeconds(TOKEN_SECONDS),
    };
    sessions.put(sessionId, session, session.tokenExpiresAt);
    return { sessionId, nonce: session.nonce, token, tokenExpiresAt: session.tokenExpiresAt };
  }

  async function connect(token: string, body: Record<string, unknown>, evidence: Evidence) {
    const sessionId = textOf(body, 'sessionId');
    const session = sessions.get(sessionId);
    if (session?.tokenSha256Base64url !== sha256(token)) {
      throw new Refused('session_unknown', 'no such session, or another token');
    }
    const { accountUserId, clientId, nonce, tokenSha256Base64url, tokenExpiresAt } = session;
    const client = { accountUserId, clientId };
    Object.assign(evidence, client, { proof: body['proof'] });
    const key = await registry.inForce(client);
    if (key === undefined) {
      throw new DeviceKeyVerificationError('key_not_enrolled', 'the client has no key in force');
    }
    const { publicKeySpkiDerBase64 } = key;
    evidence.publicKeySpkiDerBase64 = publicKeySpkiDerBase64;
    await verifyDeviceKeyProof(
      proofOf(body),
      {
        publicKeySpkiDerBase64,
        type: 'remoteControlClientConnection',
        audience: 'remote_control_client_websocket',
        targetOrigin: origin,
        targetPath: CLIENT_PATH,
        ...{ nonce, sessionId, ...client, tokenSha256Base64url, tokenExpiresAt },
        scopes: ['remote_control_controller_websocket'],
      },
      verification,
    );
    await registry.recordUse(publicKeySpkiDerBase64); // refuses a key that was revoked meanwhile
    return { connected: true };
  }

  function accountOf(request: IncomingMessage): string {
    const accountUserId = logins.get(bearerOf(request));
    if (accountUserId === undefined) throw new Refused('login_unknown', 'no such login');
    return accountUserId;
  }

  function clientOf(
    request: IncomingMessage,
    body: Record<string, unknown>,
    evidence: Evidence,
  ): Client {
    const accountUserId = accountOf(request);
    const clientId = textOf(body, 'clientId');
    if (!/^[\x20-\x7e]{1,256}$/.test(clientId)) {
      throw new Refused('request_malformed', 'clientId: not 1 to 256 characters of ASCII');
    }
    const client = { accountUserId, clientId };
    Object.assign(evidence, client);
    return client;
  }

  return {
    origin,
    /** For the operator's tools: listing an account's keys, and revoking a key. */
    registry,
    async close(): Promise<void> {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
      clearInterval(sweeper);
      database.close();
    },
  };
}

function codeOf(error: unknown): string {
  if (error instanceof Refused || error instanceof DeviceKeyVerificationError) return error.code;
  return 'internal_error'; // a bug in this file
}

const newSecret = (): string => randomBytes(32).toString('base64url');
const sha256 = (data: string): string => createHash('sha256').update(data).digest('base64url');
const inSeconds = (seconds: number): number => Math.floor(Date.now() / 1000) + seconds;

const bearerOf = (request: IncomingMessage): string =>
  /^Bearer (\S+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';

/** The verifier does not trust its type or members. */
const proofOf = (body: Record<string, unknown>): DeviceKeySignResponse =>
  body['proof'] as DeviceKeySignResponse;

/** The key from the client's `create`. The verifier compares it with the proof. */
function keyOf(body: Record<string, unknown>): DeviceKeyPublicResponse {
  const key = objectIn(body, 'key');
  return {
    keyId: textOf(key, 'keyId'),
    publicKeySpkiDerBase64: textOf(key, 'publicKeySpkiDerBase64'),
    algorithm: textOf(key, 'algorithm') as DeviceKeyPublicResponse['algorithm'],
    protectionClass: textOf(key, 'protectionClass') as DeviceKeyPublicResponse['protectionClass'],
  };
}

function objectIn(body: Record<string, unknown>, member: string): Record<string, unknown> {
  const value = body[member];
  if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  throw new Refused('request_malformed', `${member}: not an object`);
}

function textOf(body: Record<string, unknown>, member: string): string {
  const value = body[member];
  if (typeof value === 'string' && value !== '') return value;
  throw new Refused('request_malformed', `${member}: not a string`);
}

async function readJson(request: IncomingMessage): Promise<Record<string, unknown>> {
  try {
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of request as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > MAX_BODY_BYTES) throw new Refused('request_too_long', 'too long');
      chunks.push(chunk);
    }
    const body: unknown = JSON.parse(Buffer.concat(chunks).toString());
    if (typeof body === 'object' && body !== null) return body as Record<string, unknown>;
  } catch (error) {
    if (error instanceof Refused) throw error;
    // The body ended early, or is not JSON.
  }
  throw new Refused('request_malformed', 'not a JSON object');
}
