// @ts-check
/**
 * A small remote-control backend on loopback: it enrolls device keys over HTTP, and accepts their
 * connections over WebSocket. Users, keys and tokens are kept in memory. node-device-key/verify
 * verifies the proofs; a backend only has to pass its expectations, which all come from its own
 * records and never from the proof.
 *
 *   POST …/client/enroll/start  login + client id          → a challenge
 *   POST …/client/enroll        key + proof                → the key is stored, a session token
 *   POST …/client/attest/start  public key                 → a challenge     (these two only where
 *   POST …/client/attest        attestation                → a credential    attestation is demanded)
 *   WS   …/client               session token              → a challenge; then
 *                               {"type":"proof", …}        → {"type":"ready"} or {"type":"refused"}
 *                               {"type":"message", …}      → {"type":"answer"}
 *
 * @typedef {import('node-device-key').DeviceKeyPublicResponse} Key
 * @typedef {import('node-device-key').DeviceKeySignResponse} Proof
 * @typedef {import('node-device-key').DeviceKeyAttestation} Attestation
 * @typedef {{ accountUserId: string, clientId: string }} Caller
 * @typedef {Caller & { expiresAt: number, tokenSha256Base64url: string,
 *                      publicKeySpkiDerBase64: string }} Session
 * @typedef {import('node-device-key/verify').TpmKeyProof} TpmKeyProof
 * @typedef {import('node:http').IncomingMessage} Request
 */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import {
  DeviceKeyVerificationError,
  InMemoryAttestationStateStore,
  InMemoryNonceStore,
  TpmAttestationExchange,
  deviceIdentitySha256,
  verifyDeviceKeyProof,
} from 'node-device-key/verify';
import { WebSocketServer } from 'ws';
import { Challenges, newNonce } from './challenges.mjs';

const CONNECT_PATH = '/api/codex/remote/control/client';
const ENROLL_PATH = `${CONNECT_PATH}/enroll`;
const ATTEST_PATH = `${CONNECT_PATH}/attest`;
const SCOPES = ['remote_control_controller_websocket'];
const CHALLENGE_SECONDS = 120;
const TOKEN_SECONDS = 600;
const PROOF_WAIT_MS = 10_000;
const MAX_BODY_BYTES = 16 * 1024;

/** A refusal by this backend itself; the verifier refuses proofs. `code` is stable. */
class Refused extends Error {
  /** @param {string} code @param {string} message */
  constructor(code, message) {
    super(message);
    this.name = 'Refused';
    this.code = code;
  }
}

/**
 * @param {object} options
 * @param {Record<string, string>} options.logins the logins that may enroll: login secret → account
 * @param {import('node-device-key/verify').TpmAttestationExchangeOptions['trust']} [options.attestationTrust]
 *   demands attestation, with these certificates of TPM makers, or null for any TPM
 * @param {() => number} [options.now] Unix seconds
 */
export async function startBackend({
  logins,
  attestationTrust,
  now = () => Math.floor(Date.now() / 1000),
}) {
  /** @type {Challenges<Caller>} */
  const challenges = new Challenges();
  const verification = { nonces: new InMemoryNonceStore({ now }), now };
  const attestations =
    attestationTrust !== undefined &&
    new TpmAttestationExchange({
      states: new InMemoryAttestationStateStore({ now }),
      trust: attestationTrust,
      now,
    });
  /**
   * Enrolled public keys by account and client, with the proof of the TPM.
   *
   * @type {Map<string, { publicKeySpkiDerBase64: string, attestation: TpmKeyProof | null }>}
   */
  const keys = new Map();
  /** Sessions by the hash of their token: the stored hash cannot be used to log in. @type {Map<string, Session>} */
  const sessions = new Map();

  const server = createServer((request, response) => {
    handleHttp(request).then(
      (body) => reply(response, 200, body),
      (error) => reply(response, isRefusal(error) ? 403 : 500, errorBody(error)),
    );
  });
  const sockets = new WebSocketServer({ noServer: true, maxPayload: MAX_BODY_BYTES });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = /** @type {import('node:net').AddressInfo} */ (server.address());
  const origin = `http://127.0.0.1:${address.port}`;

  /** @param {Request} request */
  async function handleHttp(request) {
    const accountUserId = logins[bearer(request)];
    if (!accountUserId) throw new Refused('not_logged_in', 'this login is not known');
    const body = await readJson(request);
    if (request.method === 'POST' && request.url === `${ENROLL_PATH}/start`) {
      return startEnrollment({ accountUserId, clientId: text(body, 'clientId') });
    }
    if (request.method === 'POST' && request.url === ENROLL_PATH) {
      return finishEnrollment(accountUserId, body);
    }
    if (attestations && request.method === 'POST' && request.url === `${ATTEST_PATH}/start`) {
      const publicKeySpkiDerBase64 = text(body, 'publicKeySpkiDerBase64');
      return attestations.challenge({ publicKeySpkiDerBase64 });
    }
    if (attestations && request.method === 'POST' && request.url === ATTEST_PATH) {
      // The verifier does not trust its type or members.
      const attestation = /** @type {Attestation} */ (body.attestation);
      return attestations.makeCredential(text(body, 'attestationId'), attestation);
    }
    throw new Refused('not_found', 'there is nothing at this path');
  }

  /** @param {Caller} caller */
  function startEnrollment(caller) {
    refuseSecondKey(caller);
    return challenges.issue(caller, { now: now(), lifetimeSeconds: CHALLENGE_SECONDS });
  }

  /**
   * @param {string} accountUserId of the login, never of the proof
   * @param {Record<string, unknown>} body
   */
  async function finishEnrollment(accountUserId, body) {
    const challengeId = text(body, 'challengeId');
    const challenge = challenges.take(challengeId);
    if (!challenge) {
      throw new Refused('unknown_challenge', 'the challenge is unknown, or was used before');
    }
    if (challenge.accountUserId !== accountUserId) {
      throw new Refused('unknown_challenge', 'the challenge was made for another login');
    }
    const key = keyIn(body);
    const { publicKeySpkiDerBase64 } = key;
    await verifyDeviceKeyProof(
      proofIn(body),
      {
        publicKeySpkiDerBase64,
        type: 'remoteControlClientEnrollment',
        audience: 'remote_control_client_enrollment',
        nonce: challenge.nonce,
        challengeId,
        targetOrigin: origin,
        targetPath: ENROLL_PATH,
        accountUserId: challenge.accountUserId,
        clientId: challenge.clientId,
        deviceIdentitySha256Base64url: deviceIdentitySha256(key),
        challengeExpiresAt: challenge.expiresAt,
      },
      verification,
    );
    const attestation = attestations ? await completeAttestation(attestations, body) : null;
    if (attestation && attestation.publicKeySpkiDerBase64 !== publicKeySpkiDerBase64) {
      throw new Refused('attestation_required', 'the attestation is about another key');
    }
    // There is no await from here on, so of two simultaneous enrollments one is refused.
    refuseSecondKey(challenge);
    if ([...keys.values()].some((key) => key.publicKeySpkiDerBase64 === publicKeySpkiDerBase64)) {
      throw new Refused('already_enrolled', 'this key is enrolled for another client');
    }
    keys.set(keyName(challenge), { publicKeySpkiDerBase64, attestation });
    return issueToken(challenge, publicKeySpkiDerBase64);
  }

  /** @param {TpmAttestationExchange} exchange @param {Record<string, unknown>} body */
  function completeAttestation(exchange, body) {
    if (body.attestation === undefined) {
      throw new Refused('attestation_required', 'a key must be proven to be in a TPM');
    }
    const answer = /** @type {Record<string, unknown>} */ (Object(body.attestation));
    return exchange.complete(text(answer, 'attestationId'), text(answer, 'secret'));
  }

  /** A login alone must not be enough to replace a device's key. @param {Caller} caller */
  function refuseSecondKey(caller) {
    if (keys.has(keyName(caller))) {
      throw new Refused('already_enrolled', 'this client has a key; revoke it first');
    }
  }

  /** @param {Caller} caller @param {string} publicKeySpkiDerBase64 */
  function issueToken({ accountUserId, clientId }, publicKeySpkiDerBase64) {
    const token = randomBytes(32).toString('base64url');
    const tokenSha256Base64url = sha256Base64url(token);
    const expiresAt = now() + TOKEN_SECONDS;
    sessions.set(tokenSha256Base64url, {
      accountUserId,
      clientId,
      expiresAt,
      tokenSha256Base64url,
      publicKeySpkiDerBase64,
    });
    return { token, expiresAt, scopes: SCOPES };
  }

  server.on('upgrade', (request, socket, head) => {
    const session = sessions.get(sha256Base64url(bearer(request)));
    if (request.url !== CONNECT_PATH || !session || session.expiresAt <= now()) {
      socket.end('HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\r\n');
      return;
    }
    sockets.handleUpgrade(request, socket, head, (webSocket) => converse(webSocket, session));
  });

  /**
   * The token opened the connection; only a proof by the device's key makes it usable.
   *
   * @param {import('ws').WebSocket} socket
   * @param {Session} session
   */
  function converse(socket, session) {
    // Each connection has its own nonce, and only one proof is accepted, so no list of nonces is
    // needed.
    const challenge = {
      nonce: newNonce(),
      sessionId: `ws_${randomBytes(16).toString('base64url')}`,
    };
    const proofTimeout = setTimeout(() => socket.close(1008, 'no proof in time'), PROOF_WAIT_MS);
    socket.on('close', () => clearTimeout(proofTimeout));
    socket.on('error', () => socket.terminate());

    /** For the first message; later messages wait for it. @type {Promise<void> | undefined} */
    let proof;
    /** @param {string} data */
    const answer = async (data) => {
      if (!proof) {
        proof = checkConnectionProof(session, challenge, data);
        await proof;
        clearTimeout(proofTimeout);
        return { type: 'ready' };
      }
      await proof;
      const question = text(parseObject(data), 'text');
      return { type: 'answer', text: `${session.accountUserId} said: ${question}` };
    };
    socket.on('message', (data) =>
      answer(data.toString()).then(
        (message) => send(socket, message),
        (error) => {
          send(socket, { type: 'refused', ...errorBody(error) });
          socket.close(1008, 'refused');
        },
      ),
    );
    send(socket, { type: 'challenge', ...challenge });
  }

  /**
   * @param {Session} session
   * @param {{ nonce: string, sessionId: string }} challenge
   * @param {string} data
   */
  async function checkConnectionProof(session, challenge, data) {
    const message = parseObject(data);
    if (message.type !== 'proof') {
      throw new Refused('proof_required', 'the first message must be the proof');
    }
    await verifyDeviceKeyProof(
      proofIn(message),
      {
        publicKeySpkiDerBase64: session.publicKeySpkiDerBase64,
        type: 'remoteControlClientConnection',
        audience: 'remote_control_client_websocket',
        nonce: challenge.nonce,
        sessionId: challenge.sessionId,
        targetOrigin: origin,
        targetPath: CONNECT_PATH,
        accountUserId: session.accountUserId,
        clientId: session.clientId,
        tokenExpiresAt: session.expiresAt,
        tokenSha256Base64url: session.tokenSha256Base64url,
        scopes: SCOPES,
      },
      verification,
    );
  }

  return {
    origin,
    /** The number of enrolled keys, which a refused enrollment must not change. */
    enrolledKeys: () => keys.size,
    /** The proof of the TPM of a client's key. @param {Caller} caller */
    attestationOf: (caller) => keys.get(keyName(caller))?.attestation ?? null,
    async close() {
      for (const socket of sockets.clients) socket.terminate();
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** JSON, so that different pairs of ids always have different texts. @param {Caller} caller */
const keyName = ({ accountUserId, clientId }) => JSON.stringify([accountUserId, clientId]);

/** @param {Request} request */
const bearer = (request) => /^Bearer (\S+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';

/** The verifier does not trust its type or members. @param {Record<string, unknown>} body */
const proofIn = (body) => /** @type {Proof} */ (body.proof);

/**
 * The key from the client's `create`; the proof must have the same four members.
 *
 * @param {Record<string, unknown>} body
 */
function keyIn(body) {
  const key = /** @type {Record<string, unknown>} */ (Object(body.key));
  return /** @type {Key} */ ({
    keyId: text(key, 'keyId'),
    publicKeySpkiDerBase64: text(key, 'publicKeySpkiDerBase64'),
    algorithm: text(key, 'algorithm'),
    protectionClass: text(key, 'protectionClass'),
  });
}

/** @param {import('node:crypto').BinaryLike} data */
const sha256Base64url = (data) => createHash('sha256').update(data).digest('base64url');

/** @param {Record<string, unknown>} body @param {string} member */
function text(body, member) {
  const value = body[member];
  if (typeof value !== 'string' || value === '') {
    throw new Refused('malformed', `${member} is not a string`);
  }
  return value;
}

/** @param {string} json @returns {Record<string, unknown>} */
function parseObject(json) {
  try {
    return Object(JSON.parse(json));
  } catch {
    throw new Refused('malformed', 'the message is not JSON');
  }
}

/** @param {Request} request */
async function readJson(request) {
  let size = 0;
  const chunks = [];
  for await (const chunk of request) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw new Refused('malformed', 'the request is too long');
    chunks.push(chunk);
  }
  return parseObject(Buffer.concat(chunks).toString());
}

/** @param {unknown} error @returns {error is Refused | DeviceKeyVerificationError} */
const isRefusal = (error) =>
  error instanceof Refused || error instanceof DeviceKeyVerificationError;

/**
 * The message contains the reason so that the demonstration can show it. A real backend logs the
 * reason and answers only "refused". An internal error is only reported as such.
 *
 * @param {unknown} error
 */
const errorBody = (error) =>
  isRefusal(error)
    ? { code: error.code, message: error.message }
    : { code: 'internal', message: 'the backend failed' };

/** @param {import('node:http').ServerResponse} response @param {number} status @param {object} body */
function reply(response, status, body) {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

/** @param {import('ws').WebSocket} socket @param {object} message */
const send = (socket, message) => socket.send(JSON.stringify(message));
