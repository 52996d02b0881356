// The contents of the package, its installation, and the addon's dynamic symbols.
import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, realpathSync } from 'node:fs';
import {
  appendFile,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

import ts from 'typescript';

import { binding, connectionPayload } from '../support/payloads';
import { SoftwareSigner } from '../support/software-signer';

const root = path.join(__dirname, '../..');
const run = promisify(execFile);
const npm = realpathSync(execFileSync('which', ['npm'], { encoding: 'utf8' }).trim());

test('package.json has no script named build, before which npm would run prebuild', () => {
  const { scripts } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  expect(scripts).toHaveProperty('prebuild');
  expect(scripts).not.toHaveProperty('build');
});

test('only package.json, package-lock.json and CHANGELOG.md have the version', () => {
  const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
    version: string;
  };
  // The package's name, and its version soon after it.
  const repeated = new RegExp(
    String.raw`node-?device-?key.{0,20}(?<![\d.])${version.replaceAll('.', String.raw`\.`)}(?!\d|\.\d)`,
    'is',
  );
  const repeating = inRepository()
    .filter((file) => file !== 'CHANGELOG.md')
    .filter((file) => repeated.test(readFileSync(path.join(root, file), 'latin1')));
  expect(repeating).toEqual(['package-lock.json', 'package.json']);
});

describe('the npm package', () => {
  let scratch: string;
  let tarball: string;
  let files: string[];

  // Packed in a copy, because packing rebuilds dist/, which other tests use. It compiles lib/.
  beforeAll(async () => {
    scratch = await mkdtemp(path.join(tmpdir(), 'dk-pack-'));
    const copy = path.join(scratch, 'checkout');
    const notCopied =
      /^(\.git|node_modules|build|build-\w+|\.cache|dist|prebuilds\/[^.]*|coverage|.*\.tgz)$/;
    await cp(root, copy, {
      recursive: true,
      filter: (source) => !notCopied.test(path.relative(root, source)),
    });
    await symlink(path.join(root, 'node_modules'), path.join(copy, 'node_modules'));
    const { stdout } = await run('npm', ['pack', '--json', '--loglevel=error'], {
      cwd: copy,
      env: { ...process.env, DEVICE_KEY_PACK_WITHOUT_PREBUILDS: '1' },
      maxBuffer: 2 ** 24,
    });
    // The lines of the prepack script come before the report.
    const [report] = JSON.parse(stdout.slice(stdout.indexOf('[\n'))) as [
      { filename: string; files: { path: string }[] },
    ];
    tarball = path.join(copy, report.filename);
    files = report.files.map((file) => file.path);
  }, 300_000);
  afterAll(() => rm(scratch, { recursive: true }));

  test.each([
    'dist/index.js',
    'dist/index.mjs',
    'dist/index.d.ts',
    'types/schema/v2/DeviceKeySignParams.json',
    'README.md',
    'LICENSE',
  ])('has %s', (file) => {
    expect(files).toContain(file);
  });

  test.each([
    'binding.gyp',
    'scripts/install.js',
    'scripts/build-native.mjs',
    'scripts/native-build.js',
    'scripts/node-api/common.gypi',
    'native/sources.txt',
    'native/addon/exports.map',
    'native/platform/error.cc',
    'vendor/include/napi.h',
    'vendor/include/node_api.h',
    'vendor/include/nlohmann/json.hpp',
    'vendor/include/tss2/tss2_sys.h',
  ])('has %s, to be built where no prebuilt addon fits', (file) => {
    expect(files).toContain(file);
  });

  const licensed = [
    ...['node-addon-api', 'node-api-headers', 'nlohmann-json', 'tpm2-tss', 'openssl'],
    ...['llvm', 'zig', 'mingw-w64', 'glibc'],
  ];
  test.each(licensed)('has the licence of %s', (library) => {
    expect(files).toContain(`vendor/licenses/${library}.txt`);
  });

  test('has only the files of the repository that users read, compile or import', () => {
    const published =
      /^((types|docs|examples|native)\/.*|scripts\/(install\.js|build-native\.mjs|native-build\.js|node-api\/common\.gypi)|prebuilds\/(README\.md|manifest\.json)|package\.json|binding\.gyp|LICENSE|[A-Z]+\.md)$/;
    const expected = inRepository().filter((file) => published.test(file));
    const generated = /^(dist|vendor)\//;
    expect(files.filter((file) => !generated.test(file)).sort()).toEqual(expected.sort());
  });

  test('has in vendor/ only the headers of four libraries, and licences', () => {
    const ofNpm = ['node-addon-api', 'node-api-headers/include'].flatMap((library) =>
      readdirSync(path.join(root, 'node_modules', library)).filter((name) => name.endsWith('.h')),
    );
    const ofDebian = ['nlohmann', 'tss2'].flatMap((library) =>
      readdirSync(path.join('/usr/include', library), { encoding: 'utf8', recursive: true })
        .filter((name) => /\.h(pp)?$/.test(name))
        .map((name) => `${library}/${name}`),
    );
    expect(files.filter((file) => file.startsWith('vendor/')).sort()).toEqual(
      [
        ...[...ofNpm, ...ofDebian].map((header) => `vendor/include/${header}`),
        ...licensed.map((library) => `vendor/licenses/${library}.txt`),
      ].sort(),
    );
  });

  test('has in dist/ only the compiled files of lib/', () => {
    const expected = inRepository('lib').flatMap((file) => {
      const [, name, module] = /^lib\/(.*)\.(m?)ts$/.exec(file)!;
      return [`dist/${name!}.${module!}js`, `dist/${name!}.d.${module!}ts`];
    });
    expect(files.filter((file) => file.startsWith('dist/')).sort()).toEqual(expected.sort());
  });

  test('is not packed without its prebuilt addons by accident', async () => {
    const pack = run('npm', ['pack', '--loglevel=error'], {
      cwd: path.join(scratch, 'checkout'),
      env: { ...process.env, DEVICE_KEY_PACK_WITHOUT_PREBUILDS: '' },
    });
    await expect(pack).rejects.toMatchObject({
      stderr: expect.stringMatching(
        /^pack: linux-x64-glibc: .*\n(.*\n)*pack: run `npm run prebuild` first, or set /,
      ) as string,
    });
  });

  test('is packed only with the addons of the manifest, made from these sources', async () => {
    const copy = path.join(scratch, 'with-addons');
    await cp(path.join(scratch, 'checkout'), copy, {
      recursive: true,
      filter: (source) => path.basename(source) !== 'node_modules',
    });
    const node = (...args: string[]) =>
      run(process.execPath, args, {
        cwd: copy,
        env: { PATH: process.env.PATH, DEVICE_KEY_PACK_WITHOUT_PREBUILDS: '' },
      });
    const check = () => node('scripts/prebuild/check-pack.mjs');
    const { stdout: sources } = await node(
      ...['--input-type=module', '-e'],
      "import('./scripts/prebuild/sources.mjs').then((it) => process.stdout.write(it.sourcesHash('.')))",
    );
    const manifest: Record<string, object> = {};
    for (const [target, { file }] of Object.entries(targets)) {
      const content = `the addon for ${target}`;
      const published = path.join(copy, 'prebuilds', file);
      await mkdir(path.dirname(published), { recursive: true });
      await writeFile(published, content);
      const sha256 = createHash('sha256').update(content).digest('hex');
      manifest[target] = { file, sha256, sources };
    }
    await writeFile(path.join(copy, 'prebuilds/manifest.json'), JSON.stringify(manifest));
    await check();

    await writeFile(path.join(copy, 'prebuilds', targets['win32-x64']!.file), 'another addon');
    await expect(check()).rejects.toMatchObject({
      stderr: expect.stringMatching(
        /^pack: win32-x64: prebuilds\/\S+ has another SHA-256\npack: run [^\n]+\n$/,
      ) as string,
    });

    await appendFile(path.join(copy, 'native/sources.txt'), '\n');
    await expect(check()).rejects.toMatchObject({
      stderr: expect.stringMatching(
        /^(pack: \S+: prebuilds\/manifest\.json describes it from other sources\n){8}pack: run /,
      ) as string,
    });
  });

  // The information for bundlers and TypeScript about its entries.
  test('passes publint', async () => {
    const { stdout } = await run(process.execPath, [program('publint'), 'run', tarball]);
    expect(stdout).toContain('All good!');
  });

  // node10 is the resolution of Node.js before 12.7, which does not know `exports`.
  test('passes "Are the types wrong?"', async () => {
    await run(process.execPath, [
      program('@arethetypeswrong/cli', 'attw'),
      ...[tarball, '--profile', 'node16'],
    ]);
  });

  // Each entry, imported by a module and by a CommonJS file, with the types of this package alone.
  test.each([
    ['node16', ts.ModuleKind.Node16, ts.ModuleResolutionKind.Node16],
    ['nodenext', ts.ModuleKind.NodeNext, ts.ModuleResolutionKind.NodeNext],
    ['bundler', ts.ModuleKind.ESNext, ts.ModuleResolutionKind.Bundler],
  ])('has types that resolve under %s', async (name, module, moduleResolution) => {
    const project = path.join(scratch, `types-${name}`);
    const unpacked = path.join(project, 'node_modules/node-device-key');
    await mkdir(unpacked, { recursive: true });
    await run('tar', ['-xzf', tarball, '-C', unpacked, '--strip-components=1']);
    const { exports } = JSON.parse(await readFile(path.join(unpacked, 'package.json'), 'utf8')) as {
      exports: Record<string, unknown>;
    };
    const entries = Object.keys(exports).filter((entry) => !entry.endsWith('.json'));
    const imports = entries.map(
      (entry, index) => `export * as entry${index} from 'node-device-key${entry.slice(1)}';\n`,
    );
    const files = ['module.mts', 'commonjs.cts'].map((file) => path.join(project, file));
    for (const file of files) await writeFile(file, imports.join(''));
    const program = ts.createProgram(files, {
      ...{ module, moduleResolution, strict: true, noEmit: true, skipLibCheck: false },
      target: ts.ScriptTarget.ES2022,
      lib: ['lib.es2022.d.ts'],
      types: ['node'],
      typeRoots: [path.join(root, 'node_modules/@types')],
    });
    const ofPackage = ts
      .getPreEmitDiagnostics(program)
      .filter(({ file }) => file?.fileName.startsWith(project) ?? true)
      .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
    expect(entries.length).toBeGreaterThan(5);
    expect(ofPackage).toEqual([]);
  });

  test('has a declaration file for each of its modules', () => {
    const modules = files.filter((file) => /^dist\/.*\.m?js$/.test(file));
    expect(files).toEqual(
      expect.arrayContaining(modules.map((file) => file.replace(/\.(m?)js$/, '.d.$1ts'))),
    );
  });

  test('has the files that its documentation links to', async () => {
    const dead: string[] = [];
    for (const page of files.filter((file) => /^[^/]+\.md$|^docs\/.*\.md$/.test(file))) {
      const text = await readFile(path.join(scratch, 'checkout', page), 'utf8');
      for (const [, target] of text.matchAll(/\]\(([^)\s#]+)/g)) {
        if (/^[a-z]+:/.test(target!)) continue;
        const linked = path.join(path.dirname(page), target!);
        const isThere = files.some((file) => file === linked || file.startsWith(`${linked}/`));
        if (!isThere) dead.push(`${page}: ${target!}`);
      }
    }
    expect(dead).toEqual([]);
  });

  describe('on a machine without compiler and Python', () => {
    let project: string;
    let output: string;
    let env: NodeJS.ProcessEnv;

    beforeAll(async () => {
      project = path.join(scratch, 'project');
      const bin = path.join(scratch, 'bin');
      for (const directory of [project, bin]) await mkdir(directory);
      await symlink(process.execPath, path.join(bin, 'node'));
      await symlink('/bin/sh', path.join(bin, 'sh'));
      await writeFile(path.join(project, 'package.json'), '{ "private": true }');
      env = { PATH: bin, HOME: scratch };
      const { stdout, stderr } = await run(
        process.execPath,
        // npm shows the output of install scripts only when requested.
        [npm, 'install', '--foreground-scripts', '--no-audit', '--no-fund', tarball],
        { cwd: project, env },
      );
      output = stdout + stderr;
    }, 300_000);

    const evaluate = async (program: string): Promise<unknown> => {
      const args = ['--input-type=module', '-e', program];
      const { stdout } = await run(process.execPath, args, { cwd: project, env });
      return JSON.parse(stdout);
    };

    test('installs, and one line says that the addon is missing', () => {
      const lines = output.match(/^node-device-key: .*$/gm);
      expect(lines).toEqual([
        expect.stringMatching(/^node-device-key: installed without its addon, .* "Install" /),
      ]);
    });

    test('verifies proofs', async () => {
      const signer = new SoftwareSigner();
      const proof = {
        publicKeySpkiDerBase64: signer.publicKeySpkiDerBase64,
        ...signer.sign('the signed bytes'),
      };
      const program = `
        import { verifyDeviceKeySignature } from 'node-device-key/verify';
        const bytes = verifyDeviceKeySignature(${JSON.stringify(proof)});
        console.log(JSON.stringify(Buffer.from(bytes).toString()));`;
      expect(await evaluate(program)).toBe('the signed bytes');
    });

    test('signs with the store of node-device-key/testing', async () => {
      const program = `
        import { createInMemoryDeviceKeyStore } from 'node-device-key/testing';
        import { verifyDeviceKeySignature } from 'node-device-key/verify';
        const store = createInMemoryDeviceKeyStore({ protectionClass: 'hardware_tpm' });
        const { keyId, publicKeySpkiDerBase64 } = await store.create(${JSON.stringify(binding)});
        const payload = ${JSON.stringify(connectionPayload())};
        const proof = await store.sign({ keyId, payload });
        const bytes = verifyDeviceKeySignature({ publicKeySpkiDerBase64, ...proof });
        const refused = await store
          .sign({ keyId, payload: { ...payload, nonce: 'short' } })
          .catch((error) => error.code);
        console.log(JSON.stringify({ signed: JSON.parse(Buffer.from(bytes)).domain, refused }));`;
      expect(await evaluate(program)).toEqual({
        signed: 'codex-device-key-sign-payload/v1',
        refused: 'invalid_payload',
      });
    });

    test('names the missing parts at the first use of a key', async () => {
      const program = `
        import { probeDeviceKeySupport } from 'node-device-key';
        const error = await probeDeviceKeySupport().catch((error) => error);
        console.log(JSON.stringify({ code: error.code, message: error.message }));`;
      expect(await evaluate(program)).toEqual({
        code: 'platform_error',
        message: expect.stringMatching(
          /^there is no build of node-device-key for linux-\w+-glibc .*`npm rebuild --foreground-scripts node-device-key`$/,
        ) as string,
      });
    });
  });
});

/** The files in git. */
function inRepository(...paths: string[]): string[] {
  const list = execFileSync('git', ['ls-files', ...paths], { cwd: root, encoding: 'utf8' });
  return list.split('\n').filter(Boolean);
}

/** The program of a development dependency. */
function program(name: string, command = name): string {
  const directory = path.join(root, 'node_modules', name);
  const { bin } = JSON.parse(readFileSync(path.join(directory, 'package.json'), 'utf8')) as {
    bin: Record<string, string>;
  };
  return path.join(directory, bin[command]!);
}

const addon = path.join(root, 'build/Release/device_key.node');

describe('the addon', () => {
  const symbols = (...flags: string[]): string[] =>
    execFileSync('nm', ['-D', '--format=just-symbols', ...flags, addon], { encoding: 'utf8' })
      .split('\n')
      .map((line) => line.replace(/@.*/, ''))
      .filter(Boolean);

  test('exports only its two entry points', () => {
    expect(symbols('--defined-only').sort()).toEqual([
      'napi_register_module_v1',
      'node_api_module_get_api_version_v1',
    ]);
  });

  // Node.js exports its own OpenSSL, and an import would be bound to it.
  test('imports no OpenSSL', () => {
    expect(
      symbols('--undefined-only').filter((name) => /^(EVP|OPENSSL|CRYPTO)_/.test(name)),
    ).toEqual([]);
  });

  // Only Node-API is stable across versions of Node.js and Electron.
  test('imports no symbol of V8 or libuv', () => {
    expect(symbols('--undefined-only').filter((name) => /^(uv_|_ZNK?2v8)/.test(name))).toEqual([]);
  });

  // Electron 28 has it.
  test('imports nothing newer than Node-API 8', () => {
    const { symbols: ofVersion } = jest.requireActual<{
      symbols: { v8: { js_native_api_symbols: string[]; node_api_symbols: string[] } };
    }>('node-api-headers');
    const allowed = [...ofVersion.v8.js_native_api_symbols, ...ofVersion.v8.node_api_symbols];
    const imported = symbols('--undefined-only').filter((name) => /^(napi|node_api)_/.test(name));
    expect(imported).not.toEqual([]);
    expect(imported.filter((name) => !allowed.includes(name))).toEqual([]);
  });

  // Electron's memory cage does not allow them.
  test('imports no external buffers', () => {
    expect(
      symbols('--undefined-only').filter((name) => /create_external_(array)?buffer/.test(name)),
    ).toEqual([]);
  });

  test('needs only the C and C++ run-time libraries', () => {
    const dynamic = execFileSync('readelf', ['--dynamic', '--wide', addon], { encoding: 'utf8' });
    const needed = Array.from(dynamic.matchAll(/NEEDED.*\[([^\]]+)\]/g), ([, library]) => library);
    const runTime = /^(libstdc\+\+|libm|libgcc_s|libc|ld-linux[-a-z0-9]*)\.so\.\d$/;
    expect(needed.filter((library) => !runTime.test(library!))).toEqual([]);
  });
});

const targets = JSON.parse(
  readFileSync(path.join(root, 'cmake/toolchains/targets.json'), 'utf8'),
) as Record<string, { file: string }>;

describe('the addon is loaded', () => {
  let installed: string;
  const target = `${process.platform}-${process.arch}`;

  beforeEach(async () => {
    installed = await mkdtemp(path.join(tmpdir(), 'dk-installed-'));
    for (const file of ['package.json', 'dist']) {
      await cp(path.join(root, file), path.join(installed, file), { recursive: true });
    }
    // Older versions of the package found their addon with it.
    await symlink(path.join(root, 'node_modules'), path.join(installed, 'node_modules'));
  });
  afterEach(() => rm(installed, { recursive: true }));

  // The path of the loaded file, or the message of the error.
  function load(env: NodeJS.ProcessEnv = {}): string {
    const program = `
      try {
        require('./dist/native.js').loadNative();
        const isAddon = (file) => file.endsWith('.node');
        console.log(Object.keys(require.cache).concat(process.report.getReport().sharedObjects).filter(isAddon).at(-1));
      } catch (error) {
        console.log(error.code + ': ' + error.message);
      }`;
    return execFileSync(process.execPath, ['-e', program], {
      cwd: installed,
      encoding: 'utf8',
      env: { PATH: process.env.PATH, ...env },
    }).trim();
  }

  async function sourceBuild(content?: string): Promise<string> {
    const file = path.join(installed, 'build/Release/device_key.node');
    await mkdir(path.dirname(file), { recursive: true });
    if (content === undefined) await cp(addon, file);
    else await writeFile(file, content);
    return file;
  }

  test('from where scripts/prebuild.mjs puts it', async () => {
    const file = path.join(installed, 'prebuilds', targets[`${target}-glibc`]!.file);
    await mkdir(path.dirname(file), { recursive: true });
    await cp(addon, file);
    expect(load()).toBe(file);
  });

  test('for each target of cmake/toolchains/targets.json', () => {
    const loader = readFileSync(path.join(root, 'lib/native.ts'), 'utf8');
    const named = Array.from(
      loader.matchAll(/case '([^']+)':\s+return checked\(require\('\.\.\/prebuilds\/([^']+)'/g),
      ([, name, file]) => [name!, file!],
    );
    const expected = Object.entries(targets).map(([name, { file }]) => [name, file]);
    expect(named).toEqual(expect.arrayContaining(expected));
  });

  test('from the build of this machine', async () => {
    const file = await sourceBuild();
    expect(load()).toBe(file);
  });

  test('from nowhere that an environment variable names', async () => {
    const file = await sourceBuild();
    const planted = path.join(installed, 'planted');
    for (const name of [
      'build/Release/device_key.node',
      `prebuilds/${target}/node-device-key.node`,
    ]) {
      await mkdir(path.dirname(path.join(planted, name)), { recursive: true });
      await writeFile(path.join(planted, name), 'planted');
    }
    const env = {
      NODE_DEVICE_KEY_PREBUILD: planted,
      PREBUILDS_ONLY: '1',
      npm_config_arch: 'mips',
      npm_config_platform: 'plan9',
      LIBC: 'musl',
    };
    expect(load(env)).toBe(file);
  });

  test('only when it is ours', async () => {
    const other = path.join(root, 'node_modules/@unrs');
    const [binding] = (await readdir(other)).filter((name) => name.includes(target));
    const [file] = (await readdir(path.join(other, binding!))).filter((name) =>
      name.endsWith('.node'),
    );
    await sourceBuild('');
    await cp(
      path.join(other, binding!, file!),
      path.join(installed, 'build/Release/device_key.node'),
    );
    expect(load()).toMatch(/^platform_error: .*is not the one of node-device-key/);
  });

  test('or the error says why its file cannot be loaded', async () => {
    await sourceBuild('no library');
    expect(load()).toMatch(
      /^platform_error: .*device_key\.node: file too short|invalid ELF header/,
    );
  });

  test('or the error says that there is none', () => {
    expect(load()).toMatch(
      /^platform_error: there is no build .*`npm rebuild --foreground-scripts node-device-key`$/,
    );
  });
});
