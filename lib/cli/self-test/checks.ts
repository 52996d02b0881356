import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';

import type {
  DeviceKeyCreateResponse,
  DeviceKeySignPayload,
  DeviceKeySignResponse,
} from '../../../types/v2';
import type { DeviceKeyStore, DeviceKeySupport } from '../../store';
import { InMemoryNonceStore, verifyDeviceKeySignature, verifyDpopProof } from '../../verify';
import { abortable } from '../abortable';
import type { Invocation } from '../command';
import { CommandError, UsageError } from '../failure';
import type { FailureDocument } from '../output';
import { patiently, withStore } from '../store-session';
import type { Check } from './report';

export interface Outcome {
  /** Undefined if the store cannot be opened. */
  support: DeviceKeySupport | undefined;
  checks: Check[];
}

const owner = { accountUserId: 'device-key-self-test', clientId: 'device-key-self-test' };

/**
 * Makes, uses and deletes one key, with its record in `directory`. Failures are in the outcome;
 * rejects if it was interrupted, or if the command line is invalid.
 */
export async function runChecks(given: Invocation, directory: string): Promise<Outcome> {
  const values = new Map(given.args.values).set('directory', directory);
  const invocation = { ...given, args: { ...given.args, values } };
  const steps = new Steps(given.signal);
  let support: DeviceKeySupport | undefined;
  let key: DeviceKeyCreateResponse | undefined;

  // Finds out whether the addon can be loaded. Opening a store does nothing else.
  const opened = await steps.run('open a key store', () =>
    withStore(invocation, () => Promise.resolve(null)),
  );
  if (!opened) return { support, checks: steps.checks };

  // A simulator serves one process at a time, so each process closes its store before the next one.
  await withStore(invocation, async (store) => {
    await steps.run('ask what to expect', async () => {
      support = await patiently(invocation, store.support());
      return support.protectionClass ?? 'nothing can make keys';
    });
    await steps.run('create a key', async () => {
      key = await patiently(invocation, create(store, given.signal));
      expectClass(key, support);
      return key.protectionClass;
    });
    if (key === undefined) return;
    const created = key;
    await steps.run('sign and verify', async () => {
      const payload = newPayload();
      const signed = store.sign({ keyId: created.keyId, payload }, { signal: given.signal });
      verify(created, payload, await patiently(invocation, signed));
      return null;
    });
  });
  if (key === undefined) return { support, checks: steps.checks };
  const { keyId } = key;
  const created = key;

  await steps.run('sign from a second process', async () => {
    const payload = newPayload();
    const asksForPin = isInToken(created, support) && process.stdin.isTTY && process.stderr.isTTY;
    const signed = signInAnotherProcess(keyId, payload, invocation, { directory, asksForPin });
    verify(created, payload, await signed);
    return null;
  });

  await withStore(invocation, async (store) => {
    const recordPath = path.join(directory, `${keyId}.json`);
    const record = await readFile(recordPath, 'utf8');
    const deleted = await steps.run('delete the key', async () => {
      await patiently(invocation, store.delete({ keyId }));
      return null;
    });
    if (!deleted) return;
    const gone = await steps.run('look for the deleted key', () =>
      patiently(invocation, lookForDeleted(store, keyId, { recordPath, record })),
    );
    // At the end, because a key store that keeps deleted keys must not get another one.
    if (!gone) return;
    await steps.run('make a DPoP proof with another key', () =>
      patiently(invocation, useDpopKey(store)),
    );
  });
  return { support, checks: steps.checks };
}

/** Runs steps one after the other and records the result of each. */
class Steps {
  readonly checks: Check[] = [];

  constructor(private readonly signal: AbortSignal) {}

  /** Resolves to whether the step passed. `work` resolves to its findings, for people. */
  async run(name: string, work: () => Promise<string | null>): Promise<boolean> {
    const start = performance.now();
    let detail: string | null = null;
    let error: FailureDocument | null = null;
    try {
      detail = await abortable(work(), this.signal);
    } catch (thrown) {
      if (this.signal.aborted || thrown instanceof UsageError) throw thrown;
      error = failureOf(thrown as Error);
    }
    const milliseconds = Math.round((performance.now() - start) * 10) / 10;
    this.checks.push({ name, passed: error === null, milliseconds, detail, error });
    return error === null;
  }
}

function failureOf(error: Error & Partial<FailureDocument>): FailureDocument {
  const { code = 'unexpected', message, platformStatus } = error;
  return { code, message, ...(platformStatus !== undefined && { platformStatus }) };
}

function create(store: DeviceKeyStore, signal: AbortSignal): Promise<DeviceKeyCreateResponse> {
  const protectionPolicy = 'allow_os_protected_nonextractable';
  return store.create({ ...owner, protectionPolicy }, { signal });
}

/** Makes a DPoP key and a proof, verifies it, and deletes the key. */
async function useDpopKey(store: DeviceKeyStore): Promise<null> {
  const { keyId, jkt } = await store.createDpopKey({
    clientId: owner.clientId,
    origins: ['http://localhost'],
    protectionPolicy: 'allow_os_protected_nonextractable',
  });
  try {
    const request = { htm: 'GET', htu: 'http://localhost/self-test' };
    const { proof } = await store.signDpop({ keyId, ...request });
    await verifyDpopProof(proof, { ...request, jkt }, { nonces: new InMemoryNonceStore() });
  } finally {
    await store.delete({ keyId });
  }
  return null;
}

function expectClass(key: DeviceKeyCreateResponse, support: DeviceKeySupport | undefined): void {
  const expected = support?.protectionClass;
  if (expected === undefined || key.protectionClass === expected) return;
  throw new CommandError(
    'unexpected_protection',
    `the key is protected as ${key.protectionClass}, but support() said ${expected ?? 'that no key can be made'}`,
  );
}

function isInToken(key: DeviceKeyCreateResponse, support: DeviceKeySupport | undefined): boolean {
  const maker = support?.providers.find(
    ({ available, protectionClass }) => available && protectionClass === key.protectionClass,
  );
  return maker?.provider === 'pkcs11';
}

/** An address at which nothing listens: the target is this machine itself. */
function newPayload(): DeviceKeySignPayload {
  return {
    type: 'remoteControlClientConnection',
    nonce: randomBytes(32).toString('base64url'),
    audience: 'remote_control_client_websocket',
    sessionId: 'self-test',
    targetOrigin: 'http://localhost',
    targetPath: '/api/codex/remote/control/client',
    ...owner,
    tokenExpiresAt: Math.floor(Date.now() / 1000) + 300,
    tokenSha256Base64url: randomBytes(32).toString('base64url'),
    scopes: ['remote_control_controller_websocket'],
  };
}

/**
 * @throws DeviceKeyVerificationError or CommandError if `signed` is not a signature of `payload`.
 */
function verify(
  key: DeviceKeyCreateResponse,
  payload: DeviceKeySignPayload,
  signed: DeviceKeySignResponse,
): void {
  const { publicKeySpkiDerBase64 } = key;
  const bytes = verifyDeviceKeySignature({ publicKeySpkiDerBase64, ...signed });
  const statement = JSON.parse(new TextDecoder().decode(bytes)) as { payload: unknown };
  if (!isDeepStrictEqual(statement.payload, payload)) {
    throw new CommandError('wrong_payload', 'the signed bytes do not contain the payload');
  }
}

/**
 * Runs `device-key sign`. With `asksForPin` the child uses the terminal, so its errors are not in
 * the report.
 */
async function signInAnotherProcess(
  keyId: string,
  payload: DeviceKeySignPayload,
  { args, signal }: Invocation,
  { directory, asksForPin }: { directory: string; asksForPin: boolean },
): Promise<DeviceKeySignResponse> {
  const payloadPath = path.join(path.dirname(directory), 'payload.json');
  await writeFile(payloadPath, JSON.stringify(payload));
  const options = [
    ...[...args.values].map(([name, value]) => `--${name}=${value}`),
    ...[...args.flags].filter((name) => name !== 'json').map((name) => `--${name}`),
    ...['--json', `--payload=${payloadPath}`],
  ];
  const program = path.join(__dirname, '../main.js');
  const child = spawn(process.execPath, [program, 'sign', keyId, ...options], {
    stdio: [asksForPin ? 'inherit' : 'ignore', 'pipe', asksForPin ? 'inherit' : 'pipe'],
    signal,
  });
  const texts = { stdout: '', stderr: '' };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (texts.stdout += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (texts.stderr += text));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code === 0) return JSON.parse(texts.stdout) as DeviceKeySignResponse;
  throw (
    failureOfChild(texts.stderr) ??
    new CommandError('unexpected', `device-key sign ended with exit code ${code ?? 'none'}`)
  );
}

/** The error that `--json` printed on standard error; undefined if it printed none. */
function failureOfChild(stderr: string): Error | undefined {
  try {
    const { error } = JSON.parse(stderr) as { error: FailureDocument };
    return Object.assign(new Error(error.message), error);
  } catch {
    return undefined;
  }
}

/**
 * Restores a copy of the record and signs. If the key was in an OS store or in a token, this must
 * fail after the key has been deleted.
 */
async function lookForDeleted(
  store: DeviceKeyStore,
  keyId: string,
  { recordPath, record }: { recordPath: string; record: string },
): Promise<string> {
  if ((await store.list()).length > 0) {
    throw new CommandError('key_survived', 'the record of the deleted key is still there');
  }
  if (livesInRecord(record)) return 'gone: its record was the only place of the private key';

  await mkdir(path.dirname(recordPath), { recursive: true, mode: 0o700 });
  await writeFile(recordPath, record, { mode: 0o600, flag: 'wx' });
  try {
    await store.sign({ keyId, payload: newPayload() });
  } catch (error) {
    const { code } = error as FailureDocument;
    if (code !== 'key_lost' && code !== 'key_not_found') throw error;
    await rm(recordPath);
    return `gone: signing with a copy of its record fails with ${code}`;
  }
  throw new CommandError(
    'key_survived',
    'the key store still has the deleted key: a copy of its record still signs',
  );
}

/** Whether the record is the only place of the private key, which the hardware has wrapped. */
function livesInRecord(record: string): boolean {
  const { provider, handle } = JSON.parse(record) as {
    provider: string;
    handle: { home?: string };
  };
  // "record": an enclave key of a host without a keychain entitlement.
  return provider === 'tpm2' || handle.home === 'record';
}
