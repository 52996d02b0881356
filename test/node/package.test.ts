// What is published, and what the addon shows to the dynamic linker.
import { execFile, execFileSync } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const root = path.join(__dirname, '../..');

describe('the npm package', () => {
  let files: string[];

  // Packed in a copy, because packing rebuilds dist/, which other tests are using.
  beforeAll(async () => {
    const copy = await mkdtemp(path.join(tmpdir(), 'dk-pack-'));
    const notCopied = [
      '.git',
      'node_modules',
      'build',
      'build-cmake',
      'build-windows',
      '.cache',
      'dist',
    ];
    try {
      await cp(root, copy, {
        recursive: true,
        filter: (source) => !notCopied.includes(path.relative(root, source)),
      });
      await symlink(path.join(root, 'node_modules'), path.join(copy, 'node_modules'));
      const { stdout } = await promisify(execFile)(
        'npm',
        ['pack', '--dry-run', '--json', '--loglevel=error'],
        { cwd: copy, maxBuffer: 2 ** 24 },
      );
      // The lines of the prepack script come before the report.
      const [report] = JSON.parse(stdout.slice(stdout.indexOf('[\n'))) as [
        { files: { path: string }[] },
      ];
      files = report.files.map((file) => file.path);
    } finally {
      await rm(copy, { recursive: true });
    }
  });

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
    'scripts/native-build.js',
    'native/sources.txt',
    'native/addon/exports.map',
    'native/platform/error.cc',
    'vendor/include/napi.h',
    'vendor/include/nlohmann/json.hpp',
    'vendor/include/tss2/tss2_sys.h',
  ])('has %s, to be built where no prebuilt addon fits', (file) => {
    expect(files).toContain(file);
  });

  test.each(['node-addon-api', 'nlohmann-json', 'tpm2-tss', 'openssl'])(
    'has the licence of %s',
    (library) => {
      expect(files).toContain(`vendor/licenses/${library}.txt`);
    },
  );

  test('has nothing else', () => {
    const published =
      /^(dist|types|docs|prebuilds|vendor|native)\/|^scripts\/native-build\.js$|^(package\.json|binding\.gyp|LICENSE|[A-Z]+\.md)$/;
    expect(files.filter((file) => !published.test(file))).toEqual([]);
  });

  test('has a declaration file for each of its modules', () => {
    const modules = files.filter((file) => /^dist\/.*\.m?js$/.test(file));
    expect(files).toEqual(
      expect.arrayContaining(modules.map((file) => file.replace(/\.(m?)js$/, '.d.$1ts'))),
    );
  });
});

const addon = path.join(root, 'build/Release/device_key.node');

describe('the addon', () => {
  const symbols = (...flags: string[]): string[] =>
    execFileSync('nm', ['-D', '--format=just-symbols', ...flags, addon], { encoding: 'utf8' })
      .split('\n')
      .map((line) => line.replace(/@.*/, ''))
      .filter(Boolean);

  test('exports its two entry points alone', () => {
    expect(symbols('--defined-only').sort()).toEqual([
      'napi_register_module_v1',
      'node_api_module_get_api_version_v1',
    ]);
  });

  // Node.js exports an OpenSSL of its own: an import would bind to that one.
  test('imports no OpenSSL', () => {
    expect(
      symbols('--undefined-only').filter((name) => /^(EVP|OPENSSL|CRYPTO)_/.test(name)),
    ).toEqual([]);
  });

  // Only Node-API is stable across versions of Node.js and Electron.
  test('imports nothing of V8 or libuv', () => {
    expect(symbols('--undefined-only').filter((name) => /^(uv_|_ZNK?2v8)/.test(name))).toEqual([]);
  });

  // Electron's memory cage does not allow them.
  test('imports no external buffers', () => {
    expect(
      symbols('--undefined-only').filter((name) => /create_external_(array)?buffer/.test(name)),
    ).toEqual([]);
  });

  test('needs nothing but the C and C++ run-time libraries', () => {
    const dynamic = execFileSync('readelf', ['--dynamic', '--wide', addon], { encoding: 'utf8' });
    const needed = Array.from(dynamic.matchAll(/NEEDED.*\[([^\]]+)\]/g), ([, library]) => library);
    const runTime = /^(libstdc\+\+|libm|libgcc_s|libc|ld-linux[-a-z0-9]*)\.so\.\d$/;
    expect(needed.filter((library) => !runTime.test(library!))).toEqual([]);
  });
});

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

  // The file that was loaded, or the message of the error.
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

  test('from where scripts/prebuild puts it', () => {
    const prebuilds = path.join(installed, 'prebuilds');
    execFileSync(path.join(root, 'scripts/prebuild'), [prebuilds], { stdio: 'ignore' });
    expect(path.dirname(load())).toBe(path.join(prebuilds, target));
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

  test('or the error tells why its file cannot be loaded', async () => {
    await sourceBuild('no library');
    expect(load()).toMatch(
      /^platform_error: .*device_key\.node: file too short|invalid ELF header/,
    );
  });

  test('or the error tells that there is none', () => {
    expect(load()).toMatch(/^platform_error: there is no build .*npm rebuild node-device-key/);
  });
});
