// `device-key app-server`, over its standard streams.
import { spawn } from 'node:child_process';

import { commandLine } from '../support/paths.mjs';
import { owner, payload } from '../support/payload.mjs';
import { end, time } from '../support/worker.mjs';

export const environment = (tcti, directory) => ({
  ...process.env,
  DEVICE_KEY_TCTI: tcti,
  DEVICE_KEY_ALLOW_SIMULATOR: '1',
  DEVICE_KEY_HOME: directory,
});

export async function appServer(tcti, directory) {
  const client = new Client(
    spawn(process.execPath, [commandLine, 'app-server'], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: environment(tcti, directory),
    }),
  );
  await client.succeed('initialize', { clientInfo: { name: 'bench', version: '0' } });
  const { keyId } = await client.succeed('device/key/create', owner);
  const fixed = payload();
  // A refusal because of a rule: decoded, checked and answered without the hardware's thread.
  const broken = { keyId, payload: { ...fixed, nonce: 'short' } };
  const operations = {
    sign: () => client.succeed('device/key/sign', { keyId, payload: fixed }),
    create: () => client.succeed('device/key/create', owner),
    refused: () => client.refused('device/key/sign', broken),
  };
  return {
    operations,
    run: (operation, count) => time(operations[operation], count),
    stop: () => end(client.child),
  };
}

// Uses as little CPU as possible: the client shares two cores with the measured server.
class Client {
  #waiting = new Map();
  #lastId = 0;
  #unsent = '';
  #rest = '';

  constructor(child) {
    this.child = child;
    child.stdout.setEncoding('utf8').on('data', (text) => {
      const lines = (this.#rest + text).split('\n');
      this.#rest = lines.pop();
      for (const line of lines) {
        const answer = JSON.parse(line);
        this.#waiting.get(answer.id)(answer);
        this.#waiting.delete(answer.id);
      }
    });
  }

  #call(method, params) {
    const id = ++this.#lastId;
    if (this.#unsent === '') process.nextTick(() => this.#send());
    this.#unsent += `${JSON.stringify({ id, method, params })}\n`;
    return new Promise((resolve) => this.#waiting.set(id, resolve));
  }

  // All requests of one turn of the event loop are sent in one write.
  #send() {
    this.child.stdin.write(this.#unsent);
    this.#unsent = '';
  }

  async succeed(method, params) {
    const { result, error } = await this.#call(method, params);
    if (error) throw new Error(error.message);
    return result;
  }

  async refused(method, params) {
    const { error } = await this.#call(method, params);
    if (error?.data.code !== 'invalid_payload') throw new Error('expected invalid_payload');
  }
}
