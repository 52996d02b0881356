// The addons for Linux.
import { wrongExports, wrongImports } from './symbols.mjs';
import { tool } from './tool.mjs';

// The oldest C library that a glibc addon may ask for. Debian 10, RHEL 8 and Node.js 18 itself have it.
const glibcFloor = [2, 28];

export function inspectElf(target, file) {
  const dynamic = tool('readelf', '--dynamic', '--wide', file);
  const programs = tool('readelf', '--program-headers', '--file-header', '--wide', file);
  const machine = target.includes('-arm64') ? 'AArch64' : 'X86-64';
  if (!programs.includes(machine)) return [`is not for ${machine} and Linux`];

  const complaints = [];
  const dynamicSymbols = elfSymbols(tool('readelf', '--dyn-syms', '--wide', file));
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
  // in errno: cmake/prebuild/glibc_stat.cc.
  if (/\bSTATIC_TLS\b/.test(dynamic)) complaints.push('has a second errno');
  if (/\((RPATH|RUNPATH)\)/.test(dynamic)) complaints.push('names a directory for libraries');
  if (!imports.some(({ name }) => name === '__stack_chk_fail')) {
    complaints.push('has no stack protector');
  }
  // Node.js unloads an addon when a worker ends, while threads may still be in it.
  if (!/NODELETE/.test(dynamic)) complaints.push('may be unloaded');
  if (/\.(symtab|debug_info)\b/.test(tool('readelf', '--sections', '--wide', file))) {
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
