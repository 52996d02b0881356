// What binding.gyp becomes on Windows and macOS: evaluated by node-gyp's own gyp, on top of Node.js's
// common.gypi as there.
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const root = path.join(__dirname, '../..');
const gyp = path.join(root, 'node_modules/node-gyp');
const headers = path.join(path.dirname(path.dirname(process.execPath)), 'include/node');
// Some packages of Node.js come without its headers.
const testWithHeaders = existsSync(path.join(headers, 'common.gypi')) ? test : test.skip;

interface Release {
  defines: string[];
  include_dirs: string[];
  libraries: string[];
  msvs_settings: Record<string, Record<string, unknown>>;
}

let checkout: string;

beforeEach(() => {
  // With a space, as in "C:/Program Files".
  checkout = mkdtempSync(path.join(tmpdir(), 'source build-'));
  const lists = ['sources', 'definitions', 'options'].map((name) => `native/${name}.txt`);
  for (const file of ['binding.gyp', 'scripts/native-build.js', ...lists]) {
    cpSync(path.join(root, file), path.join(checkout, file));
  }
  symlinkSync(path.join(root, 'node_modules'), path.join(checkout, 'node_modules'));
});
afterEach(() => rmSync(checkout, { recursive: true }));

function put(...files: string[]): void {
  for (const file of files) {
    mkdirSync(path.dirname(path.join(checkout, file)), { recursive: true });
    writeFileSync(path.join(checkout, file), '');
  }
}

// The published package brings the header-only libraries along.
const packed = 'vendor/include/nlohmann/json.hpp';
const at = (name: string) => path.join(checkout, name);

const environment = (env: NodeJS.ProcessEnv) => ({ PATH: process.env['PATH'], ...env });

// What binding.gyp asks for the libraries and headers: `libcrypto` or `include_dirs`.
function find(what: string, os: string, arch: string, env: NodeJS.ProcessEnv) {
  return spawnSync(process.execPath, ['scripts/native-build.js', what, os, arch], {
    cwd: checkout,
    encoding: 'utf8',
    env: environment(env),
  });
}

function evaluate(os: 'win' | 'mac', arch: string, env: NodeJS.ProcessEnv): Release {
  // What node-gyp writes to build/config.gypi.
  const config = {
    variables: {
      ...process.config.variables,
      target_arch: arch,
      host_arch: arch,
      standalone_static_library: 1,
    },
    target_defaults: process.config.target_defaults,
  };
  writeFileSync(
    at('config.gypi'),
    JSON.stringify(config, (_, value: unknown) =>
      typeof value === 'boolean' ? String(value) : value,
    ),
  );
  const includes = ['config.gypi', `${gyp}/addon.gypi`, `${headers}/common.gypi`];
  const settings = [
    `OS=${os}`,
    'library=shared_library',
    'visibility=default',
    `node_root_dir=${headers}`,
    `node_gyp_dir=${gyp}`,
    'node_lib_file=node.lib',
    `module_root_dir=${checkout}`,
    'node_engine=v8',
  ];
  const { stderr } = spawnSync(
    'python3',
    [
      `${gyp}/gyp/gyp_main.py`,
      'binding.gyp',
      '--format=gypd',
      '--depth=.',
      ...includes.map((file) => `-I${file}`),
      ...settings.map((setting) => `-D${setting}`),
    ],
    { cwd: checkout, encoding: 'utf8', env: environment(env) },
  );
  expect(stderr).toBe('');
  const toJson = 'import ast, json, sys; print(json.dumps(ast.literal_eval(sys.stdin.read())))';
  const { stdout } = spawnSync('python3', ['-c', toJson], {
    encoding: 'utf8',
    input: readFileSync(at('binding.gypd'), 'utf8'),
  });
  const { targets } = JSON.parse(stdout) as {
    targets: [{ configurations: { Release: Release }; libraries: string[] }];
  };
  return { ...targets[0].configurations.Release, libraries: targets[0].libraries };
}

describe('on Windows', () => {
  testWithHeaders('the build has exceptions, run-time types, C++20, and the paths whole', () => {
    put(packed, 'own/lib/VC/x64/MT/libcrypto_static.lib');
    const release = evaluate('win', 'x64', { OPENSSL_ROOT_DIR: at('own') });
    expect(release.defines).not.toContain('_HAS_EXCEPTIONS=0');
    // Of native/definitions.txt.
    expect(release.defines).toEqual(expect.arrayContaining(['NAPI_VERSION=8', 'NOMINMAX']));
    expect(release.msvs_settings['VCCLCompilerTool']).toMatchObject({
      ExceptionHandling: '1',
      RuntimeTypeInfo: 'true',
      RuntimeLibrary: '0',
    });
    const options = release.msvs_settings['VCCLCompilerTool']!['AdditionalOptions'] as string[];
    expect(options.filter((option) => option.includes('std:'))).toEqual(['/std:c++20']);
    // Before Node.js's own headers, which have another OpenSSL among them.
    expect(release.include_dirs.slice(0, 3)).toEqual([
      'native',
      'vendor/include',
      at('own/include'),
    ]);
    expect(release.libraries).toContain(`-l"${at('own/lib/VC/x64/MT/libcrypto_static.lib')}"`);
  });

  test.each([
    ['x64', 'OpenSSL-Win64/lib/VC/x64/MT/libcrypto_static.lib', 'the usual installer'],
    ['arm64', 'OpenSSL-Win64-ARM/lib/VC/arm64/MT/libcrypto_static.lib', 'the usual installer'],
    ['x64', 'OpenSSL/lib/VC/x64/MT/libcrypto_static.lib', 'a runner image'],
    ['arm64', 'OpenSSL/lib/VC/arm64/MT/libcrypto_static.lib', 'a runner image'],
  ])('for %s, %s of %s is found', (arch, library) => {
    put(packed, library);
    expect(find('libcrypto', 'win', arch, { ProgramFiles: checkout }).stdout).toBe(
      `"${at(library)}"`,
    );
  });

  test.each(['x64', 'arm64'])('a checkout uses the static triplet of vcpkg for %s', (arch) => {
    const triplet = `installed/${arch}-windows-static`;
    put(`${triplet}/lib/libcrypto.lib`, `${triplet}/include/nlohmann/json.hpp`);
    const env = { VCPKG_INSTALLATION_ROOT: checkout };
    expect(find('libcrypto', 'win', arch, env).stdout).toBe(`"${at(triplet)}/lib/libcrypto.lib"`);
    expect(find('include_dirs', 'win', arch, env).stdout).toContain(`"${at(triplet)}/include"`);
  });

  test('the import library of a DLL is not used as the static one', () => {
    put(packed, 'OpenSSL/lib/libcrypto.lib');
    expect(find('libcrypto', 'win', 'x64', { ProgramFiles: checkout }).status).toBe(1);
  });

  test('one sentence says what to install if there is no OpenSSL', () => {
    put(packed);
    expect(find('libcrypto', 'win', 'arm64', { ProgramFiles: checkout }).stderr).toMatch(
      /^node-device-key: no static libcrypto of OpenSSL 3 for arm64 was found: run `vcpkg install openssl --triplet arm64-windows-static`, .*\n$/,
    );
  });

  test('one sentence says what to install when a checkout finds no nlohmann/json', () => {
    put('own/lib/libcrypto_static.lib');
    const env = { OPENSSL_ROOT_DIR: at('own') };
    expect(find('include_dirs', 'win', 'x64', env).stderr).toMatch(
      /^node-device-key: nlohmann\/json\.hpp, .* was not found: run `vcpkg install nlohmann-json --triplet x64-windows-static`, .*\n$/,
    );
  });
});

describe('on macOS', () => {
  testWithHeaders('the published package needs only OpenSSL', () => {
    put(packed, 'own/lib/libcrypto.a');
    const release = evaluate('mac', 'arm64', { OPENSSL_ROOT_DIR: at('own') });
    expect(release.include_dirs.slice(0, 3)).toEqual([
      'native',
      'vendor/include',
      at('own/include'),
    ]);
    expect(release.libraries).toContain(at('own/lib/libcrypto.a'));
  });

  test('a checkout uses both from Homebrew, without running it', () => {
    put('opt/openssl@3/lib/libcrypto.a', 'opt/nlohmann-json/include/nlohmann/json.hpp');
    const env = { HOMEBREW_PREFIX: checkout };
    const includes = find('include_dirs', 'mac', 'x64', env).stdout;
    expect(includes).toContain(`"${at('opt/openssl@3/include')}"`);
    expect(includes).toContain(`"${at('opt/nlohmann-json/include')}"`);
  });

  test('one sentence says what to install if there is no OpenSSL', () => {
    put(packed);
    expect(find('libcrypto', 'mac', 'arm64', {}).stderr).toMatch(
      /^node-device-key: no static libcrypto of OpenSSL 3 for arm64 was found: run `brew install openssl@3`, .*\n$/,
    );
  });
});
