/**
 * The part of the app that uses keys. It enrolls a device key once, and proves at each connection
 * that the app runs on the machine that has the key. It gives the rest of the app tokens, never
 * signatures. examples/backend/server.ts is the matching backend.
 */
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { app } from 'electron';
import {
  DeviceKeyError,
  DeviceKeyStore,
  deviceIdentitySha256,
  type DeviceKeySignPayload,
  type DeviceKeySignResponse,
} from 'node-device-key';

const CLIENT_PATH = '/wham/remote/control/client';
const ENROLL_PATH = `${CLIENT_PATH}/enroll`;
const backendOrigin = process.env['BACKEND_ORIGIN'] ?? 'https://chatgpt.com';

export interface Account {
  login: string;
  accountUserId: string;
  clientId: string;
}

// One store for the whole app. Opening it accesses neither disk nor TPM, so it cannot delay or
// break the start; it works on its own threads, so it never blocks a window. This file decides what
// counts as hardware, not the environment or a default.
const store = DeviceKeyStore.open({
  directory: path.join(app.getPath('userData'), 'device-keys'),
  environment: false,
  tcti: 'device:/dev/tpmrm0',
  allowSimulator: false,
});
const enrollments = new Map<string, Promise<string>>();

/** Resolves to a token that is valid for this connection. */
export async function connect(account: Account): Promise<string> {
  const { accountUserId, clientId, login } = account;
  const keyId = await enrolledKey(account);
  const session = (await post(`${CLIENT_PATH}/start`, login, { clientId })) as {
    sessionId: string;
    nonce: string;
    token: string;
    tokenExpiresAt: number;
  };
  const proof = await prove(keyId, {
    type: 'remoteControlClientConnection',
    audience: 'remote_control_client_websocket',
    nonce: session.nonce,
    sessionId: session.sessionId,
    // The address to which this app really connects, not one from a response: a proof that a man in
    // the middle obtains then names the man in the middle.
    targetOrigin: backendOrigin,
    targetPath: CLIENT_PATH,
    accountUserId,
    clientId,
    tokenExpiresAt: session.tokenExpiresAt,
    tokenSha256Base64url: sha256(session.token),
    scopes: ['remote_control_controller_websocket'],
  });
  await post(CLIENT_PATH, session.token, { sessionId: session.sessionId, proof });
  return session.token;
}

/** Whether this machine can protect a key in hardware, and otherwise the reason. */
export async function protection(): Promise<{ hardware: boolean; reason: string | null }> {
  const { hardware, providers } = await store.support();
  return { hardware, reason: hardware ? null : (providers[0]?.message ?? null) };
}

/** Resolves when the store has released the TPM. */
export function close(): Promise<void> {
  return store.close();
}

/** The key of this account. Enrolls one if there is none, and only once if several windows ask. */
function enrolledKey(account: Account): Promise<string> {
  const name = sha256(JSON.stringify([account.accountUserId, account.clientId]));
  const enrollment = enrollments.get(name) ?? findOrEnroll(name, account);
  enrollments.set(name, enrollment);
  enrollment.catch(() => enrollments.delete(name)); // the next connection tries again
  return enrollment;
}

async function findOrEnroll(name: string, account: Account): Promise<string> {
  const file = path.join(app.getPath('userData'), `enrolled-${name}`);
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const keyId = await enroll(account);
  await writeFile(file, keyId);
  return keyId;
}

async function enroll({ accountUserId, clientId, login }: Account): Promise<string> {
  const challenge = (await post(`${ENROLL_PATH}/start`, login, { clientId })) as {
    challengeId: string;
    nonce: string;
    challengeExpiresAt: number;
  };
  const key = await store.create({ accountUserId, clientId });
  const { keyId } = key;
  try {
    const proof = await prove(keyId, {
      type: 'remoteControlClientEnrollment',
      audience: 'remote_control_client_enrollment',
      nonce: challenge.nonce,
      challengeId: challenge.challengeId,
      targetOrigin: backendOrigin,
      targetPath: ENROLL_PATH,
      accountUserId,
      clientId,
      challengeExpiresAt: challenge.challengeExpiresAt,
      deviceIdentitySha256Base64url: deviceIdentitySha256(key),
    });
    const { challengeId } = challenge;
    await post(ENROLL_PATH, login, { challengeId, key, proof });
    return keyId;
  } catch (error) {
    await store.delete({ keyId }).catch(() => undefined); // no backend knows it, so it is useless
    throw error;
  }
}

function prove(keyId: string, payload: DeviceKeySignPayload): Promise<DeviceKeySignResponse> {
  // A user at a window should not have to wait longer.
  return store.sign({ keyId, payload }, { signal: AbortSignal.timeout(20_000) });
}

async function post(urlPath: string, bearer: string, body: object): Promise<unknown> {
  const response = await fetch(backendOrigin + urlPath, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${bearer}` },
    body: JSON.stringify(body),
    redirect: 'error', // a proof must never follow a redirect to another place
  });
  if (!response.ok) throw new Error(`The server refused this device (HTTP ${response.status}).`);
  return response.json();
}

/** A DeviceKeyError's message tells what happened and what the user can do. */
export function describe(error: unknown): { code: string; message: string } {
  if (error instanceof DeviceKeyError) return { code: error.code, message: error.message };
  return { code: 'failed', message: error instanceof Error ? error.message : String(error) };
}

function sha256(data: string): string {
  return createHash('sha256').update(data).digest('base64url');
}
