// scripts/prebuild/inspect.mjs refuses files that must not be published.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const root = path.join(__dirname, '../..');
const target = `linux-${process.arch}-glibc`;

// The addon of this machine stands for a mistake in the recipe: it needs more of the system.
const addon = path.join(root, 'build/Release/device_key.node');

function complaints(forTarget: string, file: string): string[] {
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    [path.join(root, 'scripts/prebuild/inspect.mjs'), forTarget, file],
    { encoding: 'utf8' },
  );
  expect({ stderr, status }).toEqual({ stderr: '', status: 1 });
  return stdout.trim().split('\n');
}

test('an addon that needs more of Linux than it may', () => {
  const found = complaints(target, addon);
  expect(found).toEqual(
    expect.arrayContaining([
      expect.stringMatching(/^has \d+ bytes, more than/),
      expect.stringMatching(/^needs \S+ of glibc 2\.\d+, newer than 2\.28$/),
      expect.stringMatching(/^needs \S+ of GLIBCXX_/),
      'needs the library libstdc++.so.6',
    ]),
  );
  expect(found.filter((text) => text.startsWith('imports'))).toEqual([]);
});

test('an addon that is not stripped', () => {
  expect(complaints(target, addon)).toContain('is not stripped');
});

test.each([
  ['another processor', `linux-${process.arch === 'x64' ? 'arm64' : 'x64'}-glibc`, 'and Linux'],
  ['Windows', 'win32-x64', 'and Windows'],
  ['macOS', 'darwin-arm64', 'and macOS'],
])('an addon of this machine as that for %s', (_, other, words) => {
  expect(complaints(other, addon)).toContainEqual(expect.stringMatching(`^is not .*${words}$`));
});

test('a file that is no addon', () => {
  expect(complaints(target, path.join(root, 'package.json'))).toEqual([
    expect.stringMatching(/^is not for /),
  ]);
});

describe('an addon', () => {
  let directory: string;
  beforeEach(() => (directory = mkdtempSync(path.join(tmpdir(), 'dk-inspect-'))));
  afterEach(() => rmSync(directory, { recursive: true }));

  function compile(code: string): string {
    const source = path.join(directory, 'addon.c');
    const file = path.join(directory, 'addon.node');
    writeFileSync(source, code);
    execFileSync('cc', ['-shared', '-fPIC', '-s', '-o', file, source]);
    return file;
  }

  test('with foreign imports and exports', () => {
    const file = compile(`
      void napi_create_object(), napi_create_external_arraybuffer(), node_api_post_finalizer();
      void EVP_DigestInit_ex(), uv_run(), _ZN2v87Isolate10GetCurrentEv();
      void napi_register_module_v1() {
        napi_create_object(), napi_create_external_arraybuffer(), node_api_post_finalizer();
        EVP_DigestInit_ex(), uv_run(), _ZN2v87Isolate10GetCurrentEv();
      }
      void EVP_DigestFinal() {}`);
    expect(complaints(target, file)).toEqual(
      expect.arrayContaining([
        'imports EVP_DigestInit_ex of OpenSSL',
        'imports uv_run',
        'imports _ZN2v87Isolate10GetCurrentEv',
        'imports napi_create_external_arraybuffer',
        'imports node_api_post_finalizer, which Node-API 8 does not have',
        'exports EVP_DigestFinal',
        'does not export node_api_module_get_api_version_v1',
      ]),
    );
  });

  test('without hardening', () => {
    const file = compile('int napi_register_module_v1() { return 0; }');
    expect(complaints(target, file)).toEqual(
      expect.arrayContaining([
        'uses no Node-API',
        'has no stack protector',
        'leaves the tables of the dynamic linker writable',
        'may be unloaded',
      ]),
    );
  });
});
