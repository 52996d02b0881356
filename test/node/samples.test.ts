// Runs the code samples of the documentation, with the text that the page has: on a software TPM,
// and with real databases, tokens and servers. Each has a function in children/samples/<page>.mjs,
// which provides the names that the page presupposes and checks the sample's effect.
import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import ts from 'typescript';

import { CertificateAuthority } from '../support/certificate-authority';
import { PostgresServer, RedisServer } from '../support/databases';
import { essentialEnvironment } from '../support/platform';
import { fileOf, otherLanguages, pages, samplesOf } from '../support/samples';
import { SoftHsm, softHsmModule } from '../support/softhsm';
import { SoftwareTpm } from '../support/swtpm';

const root = path.join(__dirname, '../..');
const node22 = path.join(root, '.cache/bundlers/node_modules/node-22/bin/node');

/** What each sample does, in the order of its page. test/node/bundlers.test.ts has those of bundlers.md. */
const samples: Record<string, string[]> = {
  'CONTRIBUTING.md': ['names the scripts', 'builds and runs the tests that need no simulator'],
  'README.md': [
    'runs the demonstration and the tests',
    'installs the package',
    'enrolls a key, as a backend sees it',
  ],
  'docs/app-server.md': [
    'answers a request for the public key',
    'opens a store in memory that signs like a TPM',
    'serves standard input and output until the input ends',
  ],
  'docs/attestation.md': [
    'proves to a backend that a key is in a TPM',
    'trusts the TPMs of a maker',
  ],
  'docs/backend.md': [
    'opens the key registry and the nonce store in PostgreSQL, at each start',
    'shows the table of the key registry, for PostgreSQL and SQLite',
    'migrates a client to a new key, to which the old key agrees',
    'counts the decisions by type and code',
  ],
  'docs/cli.md': [
    'shows the error for a key that is not there',
    'shows what doctor says about a TPM that the user may not use',
  ],
  'docs/design.md': ['shows the record of a key in a TPM'],
  'docs/dpop.md': [
    'makes a key and a fetch that adds proofs',
    'makes a proof for a request',
    'oauth4webapi exchanges a code and uses the access token',
    'openid-client gets a code that is bound to the key',
    "makes a key for atproto's fetch",
    'verifies proofs, with nonces, on the server',
  ],
  // With a stand-in for Electron, test/support/electron-stand-in.ts. The two configurations are
  // loaded, and their globs compared with the files of the package and with examples/electron:
  // electron-builder and Forge are not installed.
  'docs/electron.md': [
    'gives a page one function, which asks the main process',
    'opens a store that ignores the environment',
    'electron-builder leaves the addons outside the archive',
    'Electron Forge leaves the addons outside the archive',
  ],
  'docs/macos.md': ['claims the access group of the keychain'],
  'docs/performance.md': ['measures the speed'],
  'docs/pkcs11.md': [
    'makes a key in a token if the policy allows it',
    'chooses the module and the token, and asks the user for the PIN',
    'gives a service its PIN',
    'lists the private keys of a token',
    'sets up a token of SoftHSM',
    'sets up a token under a user of its own',
    'describes the service of that user',
    'starts that service',
    'makes a key as a client of that service',
    'uses a smart card',
    'sets up a token of tpm2-pkcs11',
  ],
  'docs/remote-control.md': [
    'declares the four functions',
    "takes the place of an app's module, except on macOS",
    'sets the directory and the longest lifetime in code',
    'makes a proof that a backend accepts',
  ],
  'docs/storage.md': ['openssl signs with a key, and verifies'],
  'docs/verify.md': [
    'answers requests with proofs',
    'declares the nonce store',
    'opens nonce stores in Redis, PostgreSQL and SQLite',
  ],
};

const typesOnly = 'it has only types, which readme.test.ts compares with those of the package';
const tooLong = 'it takes minutes, and runs these tests too';
const ownUser =
  'it changes the users and services of the system; pkcs11-server.test.ts does the same without';

/** Samples that do not run, and the reason. */
const notRun: Record<string, string> = {
  'declares the four functions': typesOnly,
  'declares the nonce store': typesOnly,
  'names the scripts': tooLong,
  'builds and runs the tests that need no simulator': tooLong,
  'runs the demonstration and the tests': `${tooLong}; demo.test.ts runs the demonstration`,
  'installs the package': 'package.test.ts installs it',
  'measures the speed': 'it takes minutes',
  'gives a service its PIN': 'systemd does not run here',
  'sets up a token under a user of its own': ownUser,
  'describes the service of that user': ownUser,
  'starts that service': ownUser,
  'makes a key as a client of that service': ownUser,
  'uses a smart card': 'there is no smart card here',
  'sets up a token of tpm2-pkcs11': 'pkcs11-tpm2.test.ts does so with pkcs11-tool',
};

/** The samples that run, by page. */
const runs = Object.entries(samples)
  .map(([page, titles]) => [page, titles.filter((title) => !Object.hasOwn(notRun, title))] as const)
  .filter(([, titles]) => titles.length > 0);

test('the table above has every sample of the documentation', () => {
  const counted = pages
    .map((page) => [page, samplesOf(page).length] as const)
    .filter(([page, count]) => count > 0 && page !== 'docs/bundlers.md');
  const listed = Object.entries(samples).map(([page, titles]) => [page, titles.length]);
  expect(Object.fromEntries(listed)).toEqual(Object.fromEntries(counted));
  expect(Object.values(samples).flat()).toEqual(expect.arrayContaining(Object.keys(notRun)));
});

test('the other blocks are diagrams and texts', () => {
  expect(otherLanguages).toEqual(new Set(['mermaid', 'text', '']));
});

describe('the shell samples', () => {
  const scripts = pages.flatMap((page) =>
    samplesOf(page)
      .filter(({ language }) => language === 'sh')
      .map(({ code }) => [page, code.split('\n')[0]!, code] as const),
  );

  test.each(scripts)('of %s are valid: %s', async (_page, _line, code) => {
    await promisify(execFile)('bash', ['-n', '-c', code]);
  });

  test('name scripts of package.json', async () => {
    const manifest = await readFile(path.join(root, 'package.json'), 'utf8');
    const { scripts: known } = JSON.parse(manifest) as { scripts: object };
    const named = scripts.flatMap(([, , code]) =>
      Array.from(code.matchAll(/\bnpm run ([\w:-]+)/g), ([, name]) => name!),
    );
    expect(named.length).toBeGreaterThan(10);
    expect(named.filter((name) => !Object.hasOwn(known, name))).toEqual([]);
  });
});

/** What the samples of a page need besides the TPM and PostgreSQL, until `stop`. */
interface Surroundings {
  env: Record<string, string>;
  /** The program that runs them. Default: the one that runs this test. */
  node?: string;
  stop?: () => Promise<void>;
}

/** `directory` is the working directory of the page's samples. */
const surroundings: Record<string, (directory: string) => Promise<Surroundings>> = {
  async 'docs/attestation.md'(directory) {
    const { root, intermediate } = tpm.certificates;
    await writeFile(path.join(directory, 'tpm-maker-root.pem'), root);
    await writeFile(path.join(directory, 'tpm-maker-intermediate.pem'), intermediate);
    return { env: {} };
  },

  // A certificate for servers at https://localhost.
  async 'docs/dpop.md'(directory) {
    const authority = await CertificateAuthority.create('ec');
    const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const certificate = await authority.issue(keys.publicKey, {
      extensions: ['subjectAltName = DNS:localhost'],
    });
    const file = (name: string) => path.join(directory, name);
    await writeFile(file('server.key'), keys.privateKey.export({ format: 'pem', type: 'pkcs8' }));
    await writeFile(file('server.pem'), certificate.toString());
    await writeFile(file('authority.pem'), authority.certificate.toString());
    await authority.close();
    return { env: { NODE_EXTRA_CA_CERTS: file('authority.pem') } };
  },

  async 'docs/electron.md'(directory) {
    const source = await readFile(path.join(root, 'test/support/electron-stand-in.ts'), 'utf8');
    const options = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.CommonJS };
    const { outputText } = ts.transpileModule(source, { compilerOptions: options });
    await mkdir(path.join(directory, 'node_modules/electron'), { recursive: true });
    await writeFile(path.join(directory, 'node_modules/electron/index.js'), outputText);
    return { env: { USER_DATA: path.join(directory, 'user-data') } };
  },

  // A token, and no TPM.
  async 'docs/pkcs11.md'() {
    const hsm = await SoftHsm.make();
    await hsm.addToken('My card');
    const slots = await hsm.tool(['--list-token-slots'], null);
    const [, serial = ''] = /serial num *: (\S+)/.exec(slots) ?? [];
    const token = { MODULE: softHsmModule, TOKEN_SERIAL: serial, PIN: hsm.pin };
    const noTpm = { DEVICE_KEY_TCTI: 'device:/dev/no-tpm-here' };
    return { env: { ...hsm.environment, ...token, ...noTpm }, stop: () => hsm.remove() };
  },

  async 'docs/verify.md'() {
    const redis = new RedisServer();
    await redis.start();
    return {
      env: { REDIS_URL: `unix://${redis.socket}` },
      stop: () => redis.stop(),
      // Node.js 22 has node:sqlite. scripts/bootstrap installs it, unless npm's registry cannot be
      // reached.
      ...(existsSync(node22) && { node: node22 }),
    };
  },
};

let tpm: Awaited<ReturnType<typeof SoftwareTpm.startWithCertificates>>;
let postgres: PostgresServer;
beforeAll(async () => {
  postgres = new PostgresServer();
  [tpm] = await Promise.all([SoftwareTpm.startWithCertificates(), postgres.start()]);
});
afterAll(() => Promise.all([tpm.stop(), postgres.stop()]));

describe.each(runs)('%s', (page, titles) => {
  let directory: string;
  let around: Surroundings;

  // Below the package's root, where `node-device-key` is this package.
  beforeAll(async () => {
    await mkdir(path.join(root, '.cache'), { recursive: true });
    directory = await mkdtemp(path.join(root, '.cache/samples-'));
    for (const [index, sample] of samplesOf(page).entries()) {
      const { extension, text } = fileOf(sample);
      await writeFile(path.join(directory, `${index + 1}${extension}`), text);
    }
    around = (await surroundings[page]?.(directory)) ?? { env: {} };
  });
  afterAll(async () => {
    await around.stop?.();
    await rm(directory, { recursive: true });
  });

  test.each(titles)('%s', async (title) => {
    const child = path.join(__dirname, 'children/run-sample.mjs');
    const { stdout } = await promisify(execFile)(
      around.node ?? process.execPath,
      [child, page, title],
      {
        cwd: directory,
        env: {
          ...essentialEnvironment,
          HOME: directory,
          DEVICE_KEY_HOME: path.join(directory, 'keys'),
          DEVICE_KEY_TCTI: tpm.tcti,
          DEVICE_KEY_ALLOW_SIMULATOR: '1',
          DATABASE_URL: `postgresql:///postgres?user=test&host=${postgres.directory}`,
          ...around.env,
        },
      },
    );
    expect(stdout).toMatch(/passed\n$/);
  });
});
