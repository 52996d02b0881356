// `device-key sign`: a new process for each signature.
import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

import { commandLine } from '../support/paths.mjs';
import { owner, payload } from '../support/payload.mjs';
import { time } from '../support/worker.mjs';
import { environment } from './app-server.mjs';

const execute = promisify(execFile);

export async function signProcess(tcti, directory) {
  await mkdir(directory, { mode: 0o700 });
  const payloadFile = path.join(directory, 'payload');
  await writeFile(payloadFile, JSON.stringify(payload()));
  const deviceKey = (...args) =>
    execute(process.execPath, [commandLine, ...args, '--json'], {
      env: environment(tcti, directory),
    });
  const { accountUserId, clientId } = owner;
  const { stdout } = await deviceKey('create', '--account', accountUserId, '--client', clientId);
  const { keyId } = JSON.parse(stdout);
  const operations = { sign: () => deviceKey('sign', keyId, '--payload', payloadFile) };
  return { run: (operation, count) => time(operations[operation], count) };
}
