// Keys whose files their user cannot read: SoftHSM as another Unix user, behind `p11-kit server`.
import { execFile } from 'node:child_process';
import { chown, mkdir, mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

import { outcome } from '../support/outcome';
import { PackageCopy } from '../support/package-copy';
import { P11KitServer, p11KitClient } from '../support/p11-kit-server';
import { verifies } from '../support/proof';
import { SoftHsm, softHsmModule } from '../support/softhsm';
import { TokenClient } from '../support/token-client';

const owner = 1; // daemon
const user = { uid: 65534 }; // nobody

let copy: PackageCopy;
let hsm: SoftHsm;
let home: string;
let server: P11KitServer;
let client: TokenClient;

// Only root can start a process as another user.
const describeAsRoot = process.getuid?.() === 0 ? describe : describe.skip;

describeAsRoot('behind `p11-kit server` of another user', () => {
  beforeAll(async () => {
    copy = await PackageCopy.make();
  });
  afterAll(async () => {
    await copy.remove();
  });

  beforeEach(async () => {
    hsm = await SoftHsm.make();
    await hsm.addToken('device keys');
    await hsm.giveTo(owner);
    const sockets = path.join(hsm.directory, 'run');
    await mkdir(sockets);
    await chown(sockets, owner, owner);
    server = await P11KitServer.start({
      directory: sockets,
      module: softHsmModule,
      env: hsm.environment,
      users: { owner, client: user.uid },
    });
    home = await mkdtemp('/tmp/dk-home-');
    await chown(home, user.uid, user.uid);
    client = await TokenClient.start(
      {
        directory: path.join(home, 'keys'),
        tcti: 'device:/dev/no-tpm-here',
        pkcs11: { module: p11KitClient, pin: hsm.pin },
        timeoutMs: 2000,
      },
      { env: server.environment, user: { uid: user.uid, copy } },
    );
  });
  afterEach(async () => {
    await client.stop();
    await server.stop();
    await hsm.remove();
    await rm(home, { recursive: true });
  });

  function asUser(command: string, ...args: string[]): Promise<unknown> {
    const identity = ['--reuid', `${user.uid}`, '--regid', `${user.uid}`, '--clear-groups'];
    return promisify(execFile)('setpriv', [...identity, command, ...args]);
  }

  test('the user has keys, and cannot read their files', async () => {
    const key = await client.create();
    expect(verifies(key.publicKeySpkiDerBase64, await client.sign(key.keyId))).toBe(true);
    expect(await client.list()).toMatchObject([{ keyId: key.keyId }]);
    await expect(asUser('ls', hsm.tokens)).rejects.toMatchObject({
      stderr: expect.stringContaining('Permission denied') as string,
    });
    await client.delete(key.keyId);
    expect(await hsm.tool(['--list-objects'])).not.toContain('dk_osn_');
  });

  test('other users cannot use the server', async () => {
    const other = await TokenClient.start(
      {
        directory: path.join(home, 'others'),
        tcti: 'device:/dev/no-tpm-here',
        pkcs11: { module: p11KitClient, pin: hsm.pin },
      },
      { env: server.environment, user: { uid: 9, copy } },
    );
    const { providers } = await other.support();
    await other.stop();
    expect(providers[1]).toMatchObject({ provider: 'pkcs11', available: false });
  });

  test('a restarted server works again', async () => {
    const key = await client.create();
    await server.stop();
    expect(await outcome(client.sign(key.keyId))).toBe('token_missing');
    await server.start();
    expect(verifies(key.publicKeySpkiDerBase64, await client.sign(key.keyId))).toBe(true);
  });

  test('an operation on a server that hangs times out, and others continue', async () => {
    const key = await client.create();
    server.pause();
    expect(await outcome(client.sign(key.keyId))).toBe('device_timeout');
    expect(await client.list()).toHaveLength(1);
    server.resume();
    expect(verifies(key.publicKeySpkiDerBase64, await client.sign(key.keyId))).toBe(true);
  });

  test('a server that hangs does not prevent a process from ending', async () => {
    await client.create();
    server.pause();
    await client.stop();
    server.resume();
  });
});
