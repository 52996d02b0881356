// examples/app-server compiles like a user's program, and works as described.
import { execFile, execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import type { DeviceKeyCreateResponse, DeviceKeySignResponse } from '../../dist/index.js';
import { connectionPayload, binding } from '../support/payloads';
import { verifies } from '../support/proof';
import { SoftwareTpm } from '../support/swtpm';

const root = path.join(__dirname, '../..');

interface Answer {
  id: number;
  result: unknown;
  error?: { code: number };
}

// A running server; requests are sent one after the other.
class Example {
  readonly #server;
  readonly exited: Promise<void>;
  readonly #arrived = new Map<number, (answer: Answer) => void>();
  #rest = '';
  #lastId = 0;

  constructor(environment: Record<string, string>) {
    this.#server = execFile(
      process.execPath,
      [path.join(root, '.cache/examples/app-server/server.js')],
      { env: { ...process.env, ...environment } },
    );
    this.exited = new Promise((resolve, reject) => {
      this.#server.on('exit', (code) => {
        if (code === 0) resolve();
        else reject(new Error(`the example exits with ${code}`));
      });
    });
    this.#server.stdout!.on('data', (text: string) => {
      const lines = (this.#rest + text).split('\n');
      this.#rest = lines.pop()!;
      for (const line of lines) {
        const answer = JSON.parse(line) as Answer;
        this.#arrived.get(answer.id)!(answer);
      }
    });
  }

  ask(method: string, params?: unknown): Promise<Answer> {
    const id = ++this.#lastId;
    this.#server.stdin!.write(`${JSON.stringify({ id, method, params })}\n`);
    return new Promise((resolve) => this.#arrived.set(id, resolve));
  }

  async end(): Promise<void> {
    this.#server.stdin!.end();
    await this.exited;
  }
}

test('the example serves device keys and another method', async () => {
  const compiler = path.join(root, 'node_modules/typescript/bin/tsc');
  execFileSync(process.execPath, [compiler, '-p', 'examples/app-server'], { cwd: root });
  const directory = await mkdtemp(path.join(tmpdir(), 'dk-example-'));
  const tpm = await SoftwareTpm.start();
  try {
    const example = new Example({
      DEVICE_KEY_HOME: directory,
      DEVICE_KEY_TCTI: tpm.tcti,
      DEVICE_KEY_ALLOW_SIMULATOR: '1',
    });
    const created = await example.ask('device/key/create', binding);
    const key = created.result as DeviceKeyCreateResponse;
    const payload = connectionPayload();
    const [signed, clock, unknown] = await Promise.all([
      example.ask('device/key/sign', { keyId: key.keyId, payload }),
      example.ask('clock/now'),
      example.ask('clock/stop'),
    ]);
    expect(verifies(key.publicKeySpkiDerBase64, signed.result as DeviceKeySignResponse)).toBe(true);
    expect(clock.result).toEqual({ now: expect.any(Number) as number });
    expect(unknown.error!.code).toBe(-32601);
    await example.end();
  } finally {
    await tpm.stop();
    await rm(directory, { recursive: true });
  }
});
