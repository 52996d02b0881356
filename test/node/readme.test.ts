// The documentation: its code is valid, its links work, and it names the right versions.
// test/node/samples.test.ts runs the code.
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';

import { anchorOf, isProgram, pages, samplesOf } from '../support/samples';

const root = path.join(__dirname, '../..');
const read = (file: string) => readFileSync(path.join(root, file), 'utf8');

/** The anchors of the headings of a page. */
function anchors(page: string): string[] {
  const prose = read(page).replaceAll(/^```.*?^```$/gms, '');
  return Array.from(prose.matchAll(/^#+ (.*)$/gm), ([, heading]) => anchorOf(heading!));
}

const programsOf = (page: string) => samplesOf(page).filter(isProgram);
const withCode = pages.filter((page) => programsOf(page).length > 0);

test.each(withCode)('%s shows JavaScript and TypeScript that parse', (page) => {
  for (const { language, code } of programsOf(page)) {
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
  const surroundings = path.join(root, 'test/support/sample-surroundings.d.ts');
  const program = ts.createProgram([...files.keys(), surroundings], options, host);
  return ts.getPreEmitDiagnostics(program).map((d) => {
    const message = ts.flattenDiagnosticMessageText(d.messageText, '\n');
    const line = d.file && ts.getLineAndCharacterOfPosition(d.file, d.start ?? 0).line + 1;
    return `${path.relative(root, d.file?.fileName ?? root)}:${line ?? 0}: ${message}`;
  });
}

/** Samples that only declare what the package has. The code after each does not compile if they differ. */
const comparisons: Record<string, string> = {
  'docs-remote-control-md-1.ts': `
    declare const ours: typeof import('node-device-key/remote-control/module');
    const declared = { createDeviceKey, getDeviceKeyPublic, signDeviceKey, deleteDeviceKey };
    declared satisfies typeof ours;
    ours satisfies typeof declared;`,
  'docs-verify-md-2.ts': `
    type Ours = import('node-device-key/verify').NonceStore;
    declare const ours: Ours, declared: NonceStore;
    declared satisfies Ours;
    ours satisfies NonceStore;`,
};

function modulesOf(page: string): [name: string, source: string][] {
  return samplesOf(page).flatMap((sample, index) => {
    const { language, source } = sample;
    if (!isProgram(sample)) return [];
    const name = `${page.replaceAll(/\W/g, '-')}-${index + 1}.${language}`;
    return [[name, `${source}${comparisons[name] ?? ''}\nexport {};`]];
  });
}

// test/node/bundlers.test.ts runs those of docs/bundlers.md.
test('the documentation shows code whose types are right', () => {
  const all = new Map(pages.filter((page) => page !== 'docs/bundlers.md').flatMap(modulesOf));
  expect(all.size).toBeGreaterThan(20);
  for (const name of Object.keys(comparisons)) expect(all.has(name)).toBe(true);
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
