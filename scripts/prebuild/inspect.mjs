// Inspects finished prebuilt addons, without running them: would each load where it has to, next to
// what it must not collide with? Electron cannot be run in the tests, so what it asks for is checked here.
import { execFileSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { createRequire } from 'node:module';

const { symbols: nodeApi } = createRequire(import.meta.url)('node-api-headers');

const mebibyte = 2 ** 20;
const sizeLimit = 2.2 * mebibyte;

// The oldest C library that a glibc addon may ask for. Debian 10, RHEL 8 and Node.js 18 itself have it.
const glibcFloor = [2, 28];

// Of Node-API's version 8, which Node.js 12.22 and Electron 15 have.
const allowedNodeApi = new Set([
  ...nodeApi.v8.js_native_api_symbols,
  ...nodeApi.v8.node_api_symbols,
]);

const run = (command, ...args) =>
  execFileSync(command, args, { encoding: 'utf8', maxBuffer: 2 ** 28 });

/** What is wrong with `file` as the addon for `target`: a list of sentences, empty if nothing is. */
export function inspect(target, file) {
  const { size } = statSync(file);
  return [
    ...(size > sizeLimit ? [`has ${size} bytes, more than ${sizeLimit}`] : []),
    ...inspectElf(target, file),
  ];
}

function inspectElf(target, file) {
  const complaints = [];
  const dynamic = run('readelf', '--dynamic', '--wide', file);
  const programs = run('readelf', '--program-headers', '--file-header', '--wide', file);
  const machine = target.includes('-arm64') ? 'AArch64' : 'X86-64';
  if (!programs.includes(machine)) complaints.push(`is not for ${machine}`);

  const dynamicSymbols = elfSymbols(run('readelf', '--dyn-syms', '--wide', file));
  const imports = dynamicSymbols.filter(({ section }) => section === 'UND');
  complaints.push(...wrongImports(imports.map(({ name }) => name)));
  complaints.push(
    ...wrongExports(
      dynamicSymbols.filter(({ section }) => section !== 'UND').map(({ name }) => name),
    ),
  );
  for (const { name, version } of imports) {
    if (/^(GLIBCXX|CXXABI|GCC)_/.test(version)) complaints.push(`needs ${name} of ${version}`);
    const [, number] = /^GLIBC_([0-9.]+)$/.exec(version) ?? [];
    if (number && isNewer(number.split('.').map(Number), glibcFloor)) {
      complaints.push(`needs ${name} of glibc ${number}, newer than ${glibcFloor.join('.')}`);
    }
  }

  const libraries = target.endsWith('musl')
    ? /^libc\.so$/
    : /^(lib(c|m|dl|pthread|rt)\.so\.\d|ld-linux-(x86-64|aarch64)\.so\.\d)$/;
  for (const [, library] of dynamic.matchAll(/NEEDED.*\[([^\]]+)\]/g)) {
    if (!libraries.test(library)) complaints.push(`needs the library ${library}`);
  }

  // Hardening. No search path: the addon must not load a library that lies beside it.
  if (!/GNU_RELRO/.test(programs) || !/\(FLAGS(_1)?\).*NOW/.test(dynamic)) {
    complaints.push('leaves the tables of the dynamic linker writable');
  }
  if (!/GNU_STACK.* RW +0/.test(programs)) complaints.push('asks for an executable stack');
  // zig's C library for glibc 2.28 keeps the errors of some calls in a thread-local variable of its own, not
  // in errno: cmake/toolchains/zig_runtime.cc.
  if (/\bSTATIC_TLS\b/.test(dynamic)) complaints.push('has a second errno');
  if (/\((RPATH|RUNPATH)\)/.test(dynamic)) complaints.push('names a directory for libraries');
  if (!imports.some(({ name }) => name === '__stack_chk_fail')) {
    complaints.push('has no stack protector');
  }
  // Node.js unloads an addon when a worker ends, while threads may still be in it.
  if (!/NODELETE/.test(dynamic)) complaints.push('may be unloaded');
  if (/\.(symtab|debug_info)\b/.test(run('readelf', '--sections', '--wide', file))) {
    complaints.push('is not stripped');
  }
  return complaints;
}

function elfSymbols(listing) {
  return listing
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(
      ([number, , , , binding, , , name]) => /^\d+:$/.test(number) && binding !== 'LOCAL' && name,
    )
    .map(([, , , , , , section, symbol]) => {
      const [name, version = ''] = symbol.split(/@+/);
      return { section, name, version };
    });
}

function isNewer(version, floor) {
  const [major = 0, minor = 0] = version;
  return major > floor[0] || (major === floor[0] && minor > floor[1]);
}

function wrongExports(names) {
  const entries = ['napi_register_module_v1', 'node_api_module_get_api_version_v1'];
  return [
    ...entries.filter((name) => !names.includes(name)).map((name) => `does not export ${name}`),
    ...names.filter((name) => !entries.includes(name)).map((name) => `exports ${name}`),
  ];
}

// Only Node-API is stable across versions of Node.js and Electron, and Node.js exports an OpenSSL of its
// own, which an import would bind to.
function wrongImports(names) {
  const complaints = [];
  for (const name of names) {
    if (/^_ZN?K?[rRVO]*2v8|^uv_/.test(name)) complaints.push(`imports ${name}`);
    if (/^(EVP|OPENSSL|OSSL|CRYPTO|EC|ECDSA|BN|ERR|RAND|X509|ASN1|d2i|i2d)_/.test(name)) {
      complaints.push(`imports ${name} of OpenSSL`);
    }
    if (/^(napi|node_api)_/.test(name) && !allowedNodeApi.has(name)) {
      complaints.push(`imports ${name}, which Node-API 8 does not have`);
    }
    // Electron's memory cage does not allow them.
    if (/create_external_(array)?buffer/.test(name)) complaints.push(`imports ${name}`);
  }
  if (!names.some((name) => name.startsWith('napi_'))) complaints.push('uses no Node-API');
  return complaints;
}
