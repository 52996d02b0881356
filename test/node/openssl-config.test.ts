// The addon's libcrypto reads no configuration file: OPENSSL_CONF could name one that loads code. Node.js reads
// that file too, but only its section nodejs_conf; openssl_conf is for every other user of OpenSSL.
// scripts/test-hosts.mjs runs this file with the installed package.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { TestMachine } from '../support/machine';
import { binding } from '../support/payloads';
import { essentialEnvironment } from '../support/platform';

const installed = process.env['DEVICE_KEY_INSTALLED'] ?? path.join(__dirname, '../..');

let machine: TestMachine;
let scratch: string;
const at = (name: string) => path.join(scratch, name);

beforeAll(async () => {
  machine = await TestMachine.start();
  scratch = mkdtempSync(path.join(tmpdir(), 'dk-openssl-'));
  // A provider that says when it is loaded.
  writeFileSync(
    at('planted.c'),
    `#include <fcntl.h>
     __attribute__((constructor)) static void say(void) { creat("${at('loaded')}", 0600); }
     int OSSL_provider_init() { return 0; }`,
  );
  execFileSync('cc', ['-shared', '-fPIC', '-o', at('planted.so'), at('planted.c')]);
  writeFileSync(at('hostile.cnf'), `openssl_conf = hostile\n.include = ${at('included.cnf')}\n`);
  writeFileSync(
    at('included.cnf'),
    `[hostile]
     providers = providers
     alg_section = algorithms
     [providers]
     planted = planted
     [planted]
     module = ${at('planted.so')}
     activate = 1
     # No algorithm has this property, so that none is found.
     [algorithms]
     default_properties = planted=yes
    `,
  );
  execFileSync('mkfifo', [at('pipe')]);
});
afterEach(() => rmSync(at('loaded'), { force: true }));
afterAll(async () => {
  await machine.stop();
  rmSync(scratch, { recursive: true });
});

// Creates a key. The addon then hashes, makes a signature and verifies it.
function createKey(prelude: string, env: NodeJS.ProcessEnv = {}) {
  const program = `
    ${prelude}
    const { DeviceKeyStore } = require(${JSON.stringify(installed)});
    const store = DeviceKeyStore.open(${JSON.stringify(machine.options)});
    store.create(${JSON.stringify(binding)}).then(({ keyId }) =>
      store.delete({ keyId }).then(() => console.log('made a key')));`;
  const { stdout, stderr, signal } = spawnSync(process.execPath, ['-e', program], {
    env: { ...essentialEnvironment, ...env },
    encoding: 'utf8',
    timeout: 30_000,
  });
  return { stdout, stderr, signal };
}
const madeAKey = { stdout: 'made a key\n', stderr: '', signal: null };

test('a configuration file that breaks the program openssl does not reach the addon', () => {
  const env = { OPENSSL_CONF: at('hostile.cnf') };
  const { status } = spawnSync('openssl', ['dgst', '-sha256', '/dev/null'], {
    env: { ...essentialEnvironment, ...env },
  });
  expect(status).not.toBe(0);
  expect(existsSync(at('loaded'))).toBe(true);
  rmSync(at('loaded'));

  expect(createKey('', env)).toEqual(madeAKey);
  expect(existsSync(at('loaded'))).toBe(false);
});

// The variable is set when Node.js has read its configuration. A pipe without a writer stops who opens it.
test('the addon does not open the configuration file', () => {
  const read = spawnSync('openssl', ['version'], {
    env: { ...essentialEnvironment, OPENSSL_CONF: at('pipe') },
    timeout: 2_000,
  });
  expect(read.signal).toBe('SIGTERM');

  expect(createKey(`process.env.OPENSSL_CONF = ${JSON.stringify(at('pipe'))};`)).toEqual(madeAKey);
});
