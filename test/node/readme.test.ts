// The documentation: its code is valid, its links work, and the README's example does what the
// README says.
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import ts from 'typescript';

import type { DeviceKeyCreateResponse, DeviceKeySignResponse } from '../../dist/index.js';
import {
  deviceIdentitySha256,
  InMemoryNonceStore,
  verifyDeviceKeyProof,
} from '../../dist/verify.js';
import { TestMachine } from '../support/machine';

const root = path.join(__dirname, '../..');
const read = (file: string) => readFileSync(path.join(root, file), 'utf8');

const pages = [
  ...['README.md', 'SECURITY.md', 'CONTRIBUTING.md', 'CHANGELOG.md'],
  ...readdirSync(path.join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

function codeBlocks(page: string, languages: string[]) {
  const blocks = read(page).matchAll(/^```(\w+)\n(.*?)^```$/gms);
  return Array.from(blocks, ([, language, code]) => ({ language: language!, code: code! })).filter(
    ({ language }) => languages.includes(language),
  );
}

/** The anchors of the headings of a page, as GitHub makes them. */
function anchors(page: string): string[] {
  const prose = read(page).replaceAll(/^```.*?^```$/gms, '');
  return Array.from(prose.matchAll(/^#+ (.*)$/gm), ([, heading]) =>
    heading!
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

const withCode = pages.filter((page) => codeBlocks(page, ['js', 'ts']).length > 0);

test.each(withCode)('%s shows JavaScript and TypeScript that parse', (page) => {
  for (const { language, code } of codeBlocks(page, ['js', 'ts'])) {
    const { diagnostics } = ts.transpileModule(code, {
      fileName: `block.${language}`,
      reportDiagnostics: true,
      compilerOptions: { target: ts.ScriptTarget.ESNext, module: ts.ModuleKind.ESNext },
    });
    const errors = diagnostics?.map((d) => ts.flattenDiagnosticMessageText(d.messageText, '\n'));
    expect({ code, errors }).toEqual({ code, errors: [] });
  }
});

/** TypeScript's errors in programs beside this package, where `node-device-key` is this package. */
function typeErrors(sources: Map<string, string>): string[] {
  const options: ts.CompilerOptions = {
    ...{ allowJs: true, checkJs: true, strict: true, noImplicitAny: false, noEmit: true },
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.Node16,
    types: ['node'],
    rootDir: root,
    outDir: path.join(root, 'dist'), // without it `exports` would resolve to this package's sources
    skipLibCheck: true,
  };
  const files = new Map(
    Array.from(sources, ([name, source]) => [path.join(root, name), source] as const),
  );
  const host = ts.createCompilerHost(options);
  const fileExists = host.fileExists.bind(host);
  const getSourceFile = host.getSourceFile.bind(host);
  host.fileExists = (name) => files.has(name) || fileExists(name);
  host.getSourceFile = (name, ...rest) => {
    const source = files.get(name);
    return source === undefined
      ? getSourceFile(name, ...rest)
      : ts.createSourceFile(name, source, ts.ScriptTarget.ES2022);
  };
  const surroundings = ['sample-surroundings.d.ts', 'electron.d.ts'].map((name) =>
    path.join(root, 'test/support', name),
  );
  const program = ts.createProgram([...files.keys(), ...surroundings], options, host);
  return ts.getPreEmitDiagnostics(program).map((d) => {
    const message = ts.flattenDiagnosticMessageText(d.messageText, '\n');
    const line = d.file && ts.getLineAndCharacterOfPosition(d.file, d.start ?? 0).line + 1;
    return `${path.relative(root, d.file?.fileName ?? root)}:${line ?? 0}: ${message}`;
  });
}

/** The samples of a page as modules. Each may use what an earlier one has imported. */
function samples(page: string): [name: string, source: string][] {
  const imported = new Map<string, string>();
  return codeBlocks(page, ['js', 'ts']).map(({ language, code }, index) => {
    const own = new Set<string>();
    for (const [, names, module] of code.matchAll(/^import \{([^}]+)\} from '([^']+)'/gm)) {
      for (const name of names!.split(',').map((name) => name.trim())) {
        own.add(name);
        imported.set(name, module!);
      }
    }
    const before = Array.from(imported)
      .filter(([name]) => !own.has(name))
      .map(([name, module]) => `import { ${name} } from '${module}'; `);
    const name = `${page.replaceAll(/\W/g, '-')}-${index + 1}.${language}`;
    return [name, `${before.join('')}${code}\nexport {};`];
  });
}

// test/node/bundlers.test.ts runs those of docs/bundlers.md.
test('the documentation shows code whose types are right', () => {
  const all = new Map(pages.filter((page) => page !== 'docs/bundlers.md').flatMap(samples));
  expect(all.size).toBeGreaterThan(20);
  expect(typeErrors(all)).toEqual([]);
});

test.each(pages)('%s links to files and headings that exist', (page) => {
  const prose = read(page).replaceAll(/^```.*?^```$/gms, '');
  const broken = Array.from(prose.matchAll(/\]\(([^)\s]+)\)/g), ([, target]) => target!)
    .filter((target) => !/^[a-z]+:/.test(target))
    .filter((target) => {
      const [link = '', anchor] = target.split('#');
      const linked = link === '' ? page : path.join(path.dirname(page), link);
      if (!existsSync(path.join(root, linked))) return true;
      return anchor !== undefined && !anchors(linked).includes(anchor);
    });
  expect(broken).toEqual([]);
});

test('the documentation names the minimum Node.js of package.json', () => {
  const { engines } = JSON.parse(read('package.json')) as { engines: { node: string } };
  const oldest = engines.node.replace('>=', '');
  const named = pages.flatMap((page) =>
    Array.from(read(page).matchAll(/Node(?:\.js)? (\d+\.\d+) or (?:newer|later)/g), ([, it]) => it),
  );
  expect(new Set(named)).toEqual(new Set([oldest]));
});

test('the example of README.md enrolls a key, as a backend sees it', async () => {
  const machine = await TestMachine.start();
  try {
    const [example] = codeBlocks('README.md', ['js']);
    const challenge = {
      challengeId: 'challenge-1',
      nonce: randomBytes(32).toString('base64url'),
      expiresAt: Math.floor(Date.now() / 1000) + 120,
    };
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [
        '--input-type=module',
        '--eval',
        `${example!.code}
        const enrolled = await enroll(${JSON.stringify(challenge)}, 'user-7f3a', 'laptop');
        console.log(JSON.stringify(enrolled));`,
      ],
      {
        cwd: root,
        env: {
          PATH: process.env['PATH'],
          DEVICE_KEY_HOME: machine.directory,
          DEVICE_KEY_TCTI: machine.tpm.tcti,
          DEVICE_KEY_ALLOW_SIMULATOR: '1',
        },
      },
    );
    const { key, proof } = JSON.parse(stdout) as {
      key: DeviceKeyCreateResponse;
      proof: DeviceKeySignResponse;
    };
    const payload = await verifyDeviceKeyProof(
      proof,
      {
        publicKeySpkiDerBase64: key.publicKeySpkiDerBase64,
        type: 'remoteControlClientEnrollment',
        audience: 'remote_control_client_enrollment',
        nonce: challenge.nonce,
        challengeId: challenge.challengeId,
        targetOrigin: 'https://chatgpt.com',
        targetPath: '/api/codex/remote/control/client/enroll',
        accountUserId: 'user-7f3a',
        clientId: 'laptop',
        deviceIdentitySha256Base64url: deviceIdentitySha256(key),
      },
      { nonces: new InMemoryNonceStore() },
    );
    expect(payload.challengeExpiresAt).toBe(challenge.expiresAt);
  } finally {
    await machine.stop();
  }
});
