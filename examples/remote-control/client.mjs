// @ts-check
/**
 * The part of an app: it enrolls a device key once, and proves possession of it for every
 * connection. `enroll` and `connect` are all that an app needs; the functions below them are their
 * steps.
 *
 * @typedef {import('node-device-key').DeviceKeyStore} DeviceKeyStore
 * @typedef {import('node-device-key').DeviceKeyCreateResponse} Key
 * @typedef {import('node-device-key').DeviceKeySignResponse} Proof
 * @typedef {{ origin: string, login: string, accountUserId: string, clientId: string }} Account
 * @typedef {{ token: string, expiresAt: number, scopes: string[] }} Session
 * @typedef {{ challengeId: string, nonce: string, expiresAt: number }} EnrollmentChallenge
 * @typedef {{ nonce: string, sessionId: string }} ConnectionChallenge
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { deviceIdentitySha256 } from 'node-device-key';
import { WebSocket } from 'ws';

const CONNECT_PATH = '/api/codex/remote/control/client';
const ENROLL_PATH = `${CONNECT_PATH}/enroll`;
const ATTEST_PATH = `${CONNECT_PATH}/attest`;

/** The backend refused the request. `code` is the backend's. */
export class BackendRefused extends Error {
  /** @param {string} code @param {string} message */
  constructor(code, message) {
    super(message);
    this.name = 'BackendRefused';
    this.code = code;
  }
}

/**
 * Makes a device key and enrolls it. Call once; keep `keyId` with the app's settings.
 *
 * @param {DeviceKeyStore} store
 * @param {Account} account
 */
export async function enroll(store, account) {
  const { accountUserId, clientId } = account;
  const challenge = await requestChallenge(account);
  const key = await store.create({ accountUserId, clientId });
  const { keyId } = key;
  try {
    const payload = enrollmentPayload(account, challenge, key);
    const proof = await store.sign({ keyId, payload });
    return {
      keyId,
      session: await submitEnrollment(account, challenge, key, proof),
    };
  } catch (error) {
    await store.delete({ keyId }); // A key that no backend knows is useless.
    throw error;
  }
}

/**
 * Opens the connection and proves that this machine has the enrolled key.
 *
 * @param {DeviceKeyStore} store
 * @param {Account} account
 * @param {Session} session
 * @param {string} keyId
 */
export async function connect(store, account, session, keyId) {
  const channel = await openChannel(account, session);
  const payload = connectionPayload(account, session, channel.challenge);
  await channel.prove(await store.sign({ keyId, payload }));
  return channel;
}

/** @param {Account} account @returns {Promise<EnrollmentChallenge>} */
export const requestChallenge = (account) =>
  post(account, `${ENROLL_PATH}/start`, { clientId: account.clientId });

/**
 * @param {Account} account
 * @param {EnrollmentChallenge} challenge
 * @param {Key} key
 */
export const enrollmentPayload = (account, challenge, key) =>
  /** @type {const} */ ({
    type: 'remoteControlClientEnrollment',
    nonce: challenge.nonce,
    audience: 'remote_control_client_enrollment',
    challengeId: challenge.challengeId,
    // The address to which this client really connects, not one from the challenge: a proof that a
    // man in the middle obtains then names the man in the middle.
    targetOrigin: account.origin,
    targetPath: ENROLL_PATH,
    accountUserId: account.accountUserId,
    clientId: account.clientId,
    deviceIdentitySha256Base64url: deviceIdentitySha256(key),
    challengeExpiresAt: challenge.expiresAt,
  });

/**
 * @param {Account} account
 * @param {EnrollmentChallenge} challenge
 * @param {Key} key
 * @param {Proof} proof
 * @param {{ attestationId: string, secret: string }} [attestation] if the backend requires it: the
 *   response to the credential of `requestCredential`
 * @returns {Promise<Session>}
 */
export const submitEnrollment = (account, challenge, key, proof, attestation) =>
  post(account, ENROLL_PATH, {
    challengeId: challenge.challengeId,
    key,
    proof,
    ...(attestation && { attestation }),
  });

/**
 * @param {Account} account
 * @param {Pick<Key, 'publicKeySpkiDerBase64'>} key
 * @returns {Promise<{ attestationId: string, challenge: string }>}
 */
export const requestAttestation = (account, { publicKeySpkiDerBase64 }) =>
  post(account, `${ATTEST_PATH}/start`, { publicKeySpkiDerBase64 });

/**
 * @param {Account} account
 * @param {string} attestationId
 * @param {import('node-device-key').DeviceKeyAttestation} attestation
 * @returns {Promise<{ attestationId: string, credentialBlob: string, encryptedSecret: string }>}
 */
export const requestCredential = (account, attestationId, attestation) =>
  post(account, ATTEST_PATH, { attestationId, attestation });

/**
 * @param {Account} account
 * @param {Session} session
 * @param {ConnectionChallenge} challenge
 */
export const connectionPayload = (account, session, challenge) => ({
  type: /** @type {const} */ ('remoteControlClientConnection'),
  nonce: challenge.nonce,
  audience: /** @type {const} */ ('remote_control_client_websocket'),
  sessionId: challenge.sessionId,
  targetOrigin: account.origin,
  targetPath: CONNECT_PATH,
  accountUserId: account.accountUserId,
  clientId: account.clientId,
  tokenExpiresAt: session.expiresAt,
  // The proof contains the token's hash, so it does not reveal the token, and is useless with any
  // other token.
  tokenSha256Base64url: sha256Base64url(session.token),
  scopes: session.scopes,
});

/**
 * Opens the WebSocket and waits for the backend's challenge.
 *
 * @param {Account} account
 * @param {Session} session
 */
export async function openChannel(account, session) {
  const socket = new WebSocket(account.origin.replace(/^http/, 'ws') + CONNECT_PATH, {
    headers: { authorization: `Bearer ${session.token}` },
    handshakeTimeout: 10_000,
    maxPayload: 64 * 1024,
  });
  socket.on('error', () => {}); // 'close' follows; an unhandled error would end the app
  return new Channel(socket, await receive(socket, 'challenge'));
}

/** One connection; the backend answers each message before the next is sent. */
export class Channel {
  #socket;

  /** @param {WebSocket} socket @param {ConnectionChallenge} challenge */
  constructor(socket, challenge) {
    this.#socket = socket;
    this.challenge = challenge;
  }

  /** @param {Proof} proof */
  async prove(proof) {
    await this.#exchange({ type: 'proof', proof }, 'ready');
  }

  /** @param {string} text @returns {Promise<string>} */
  async ask(text) {
    return (await this.#exchange({ type: 'message', text }, 'answer')).text;
  }

  close() {
    this.#socket.close();
  }

  /** @param {object} message @param {string} answerType */
  #exchange(message, answerType) {
    const answer = receive(this.#socket, answerType);
    this.#socket.send(JSON.stringify(message));
    return answer;
  }
}

/**
 * The next message, which must be of this type.
 *
 * @param {WebSocket} socket
 * @param {string} type
 * @returns {Promise<any>}
 */
async function receive(socket, type) {
  const hungUp = () => {
    throw new BackendRefused('closed', 'the backend closed the connection');
  };
  if (socket.readyState > WebSocket.OPEN) hungUp();
  const done = new AbortController();
  const [data] = await Promise.race([
    once(socket, 'message', { signal: done.signal }),
    once(socket, 'close', { signal: done.signal }).then(hungUp),
  ]).finally(() => done.abort());
  const message = JSON.parse(data.toString());
  if (message.type === 'refused') throw new BackendRefused(message.code, message.message);
  if (message.type !== type) throw new Error(`expected ${type}, got ${message.type}`);
  return message;
}

/**
 * @param {Account} account
 * @param {string} path
 * @param {object} body
 * @returns {Promise<any>}
 */
async function post(account, path, body) {
  const response = await fetch(account.origin + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${account.login}` },
    body: JSON.stringify(body),
    // A proof must never follow a redirect to another place.
    redirect: 'error',
  });
  const answer = /** @type {any} */ (await response.json());
  if (!response.ok) throw new BackendRefused(answer.code, answer.message);
  return answer;
}

/** @param {import('node:crypto').BinaryLike} data */
const sha256Base64url = (data) => createHash('sha256').update(data).digest('base64url');
