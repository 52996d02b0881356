// A new process that uses device keys: PKCS#11 modules depend on the environment at the start of
// the process, and on its user.
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';

import {
  DeviceKeyError,
  type DeviceKeyCreateResponse,
  type DeviceKeyErrorCode,
  type DeviceKeySignResponse,
  type DeviceKeyStoreOptions,
  type DeviceKeySupport,
  type Pkcs11PinQuestion,
} from '../../dist/index.js';
import type { PackageCopy } from './package-copy';
import { essentialEnvironment } from './platform';
import { binding, connectionPayload } from './payloads';

interface Answer {
  id: number;
  result?: unknown;
  error?: { code: DeviceKeyErrorCode; message: string; platformStatus?: string };
}

export interface ClientOptions {
  // In addition to `essentialEnvironment`.
  env?: Record<string, string>;
  // Answers to questions for a PIN, in order or by the token's label. Without an answer for the
  // label the question stays open.
  answers?: string[] | Record<string, string>;
  // The user that runs it, and a copy of the package that this user can read.
  user?: { uid: number; copy: PackageCopy };
}

export class TokenClient {
  private readonly child: ChildProcess;
  private readonly waiting = new Map<number, (answer: Answer) => void>();
  private calls = 0;
  stderr = '';

  private constructor({ env, user }: ClientOptions) {
    const name = 'token-client.cjs';
    const script = user?.copy.script(name) ?? path.join(__dirname, '../node/children', name);
    this.child = fork(script, [], {
      env: { ...essentialEnvironment, ...env },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      ...(user && { uid: user.uid, gid: user.uid, cwd: '/', execPath: user.copy.node }),
    });
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    this.child.on('message', (answer: Answer) => this.waiting.get(answer.id)?.(answer));
    this.child.on('exit', (code, signal) => {
      for (const [id, settle] of this.waiting) {
        const message = `the client ended (${signal ?? code}): ${this.stderr}`;
        settle({ id, error: { code: 'platform_error', message } });
      }
    });
  }

  static async start(
    options: DeviceKeyStoreOptions,
    clientOptions: ClientOptions = {},
  ): Promise<TokenClient> {
    const client = new TokenClient(clientOptions);
    await client.call('open', { options, answers: clientOptions.answers });
    return client;
  }

  async call<Result>(method: string, params?: unknown): Promise<Result> {
    const id = ++this.calls;
    const answered = new Promise<Answer>((resolve) => this.waiting.set(id, resolve));
    this.child.send({ id, method, params });
    const { result, error } = await answered;
    this.waiting.delete(id);
    if (error) throw new DeviceKeyError(error.code, error.message, error);
    return result as Result;
  }

  create(): Promise<DeviceKeyCreateResponse> {
    return this.call('create', {
      ...binding,
      protectionPolicy: 'allow_os_protected_nonextractable',
    });
  }

  sign(keyId: string): Promise<DeviceKeySignResponse> {
    return this.call('sign', { keyId, payload: connectionPayload() });
  }

  delete(keyId: string): Promise<void> {
    return this.call('delete', { keyId });
  }

  list(): Promise<{ keyId: string }[]> {
    return this.call('list');
  }

  support(): Promise<DeviceKeySupport> {
    return this.call('support');
  }

  questions(): Promise<Pkcs11PinQuestion[]> {
    return this.call('questions');
  }

  // The store is closed, and the process ends without exit().
  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const exited = once(this.child, 'exit');
    await this.call('close').catch(() => undefined);
    this.child.disconnect();
    await exited;
  }
}
