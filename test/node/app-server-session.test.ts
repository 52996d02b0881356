// A whole session with a TPM, by a client that was written only from docs/app-server.md.
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

import { essentialEnvironment } from '../support/platform';
import { SoftwareTpm } from '../support/swtpm';

const root = path.join(__dirname, '../..');

test('a client in another language gets proofs that OpenSSL verifies, and an answer to every other request', async () => {
  const directory = await mkdtemp(path.join(tmpdir(), 'dk-session-'));
  const tpm = await SoftwareTpm.start();
  try {
    const server = [process.execPath, '-e', "require('./dist/app-server').serveStdio()"];
    const { stdout, stderr } = await promisify(execFile)(
      'python3',
      ['test/app-server-client/session.py', ...server],
      {
        cwd: root,
        env: {
          ...essentialEnvironment,
          DEVICE_KEY_HOME: directory,
          DEVICE_KEY_TCTI: tpm.tcti,
          DEVICE_KEY_ALLOW_SIMULATOR: '1',
          PYTHONDONTWRITEBYTECODE: '1',
        },
      },
    );
    expect(stdout).toContain('answered 1000 requests in flight');
    expect(stdout.trimEnd()).toMatch(/ended with the input$/);
    // The server writes to the client's standard error.
    expect(stderr).toBe('');
    expect(await tpm.getcap('handles-transient')).toBe('');
  } finally {
    await tpm.stop();
    await rm(directory, { recursive: true });
  }
});
