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
function typeErrors(sources: Record<string, string>): string[] {
  const options: ts.CompilerOptions = {
    ...{ allowJs: true, checkJs: true, strict: true, noImplicitAny: false, noEmit: true },
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.Node16,
    moduleDetection: ts.ModuleDetectionKind.Force,
    types: ['node'],
    rootDir: root,
    outDir: path.join(root, 'dist'), // without it `exports` would resolve to this package's sources
    skipLibCheck: true,
  };
  const files = new Map(
    Object.entries(sources).map(([name, source]) => [path.join(root, name), source]),
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
  const program = ts.createProgram([...files.keys()], options, host);
  return ts
    .getPreEmitDiagnostics(program)
    .map(
      (d) => `${d.file?.fileName ?? ''}: ${ts.flattenDiagnosticMessageText(d.messageText, '\n')}`,
    );
}

test('README.md shows code whose types are right', () => {
  const blocks = codeBlocks('README.md', ['js']).map(({ code }) => code);
  expect(typeErrors({ 'readme-example.js': blocks.join('\n') })).toEqual([]);
});

test('docs/backend.md shows code whose types are right', () => {
  const blocks = codeBlocks('docs/backend.md', ['ts']);
  expect(blocks.length).toBeGreaterThan(0);
  const named = blocks.map(({ code }, index) => [`backend-example-${index}.ts`, code] as const);
  expect(typeErrors(Object.fromEntries(named))).toEqual([]);
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
