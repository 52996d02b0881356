// The addons for macOS.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

import { wrongExports, wrongImports } from './symbols.mjs';
import { tool } from './tool.mjs';

// By their install names, relative to the system's root.
const frameworks = '/System/Library/Frameworks';
const libraries = [
  `${frameworks}/Security.framework/Versions/A/Security`,
  `${frameworks}/CoreFoundation.framework/Versions/A/CoreFoundation`,
  '/usr/lib/libSystem.B.dylib',
  '/usr/lib/libobjc.A.dylib',
];

export function inspectMachO(target, file) {
  const headers = tool('llvm-objdump', '--macho', '--private-headers', file);
  const machine = target.endsWith('-arm64') ? 'ARM64' : 'X86_64';
  if (!new RegExp(`MH_MAGIC_64 +${machine} .* BUNDLE `).test(headers)) {
    return [`is not a bundle for ${machine} and macOS`];
  }

  const complaints = [];
  if (!/^ *(minos|version) 11\.0$/m.test(headers)) complaints.push('does not ask for macOS 11.0');
  // An arm64 Mac loads only code with at least an ad-hoc signature.
  const [, offset] = /cmd LC_CODE_SIGNATURE\n.*\n *dataoff (\d+)/.exec(headers) ?? [];
  if (!offset) complaints.push('is not signed');
  else if (!isSigned(readFileSync(file), Number(offset)))
    complaints.push('differs from what is signed');

  const [, ...used] = tool('llvm-objdump', '--macho', '--dylibs-used', file).trim().split('\n');
  for (const library of used.map((line) => line.trim().split(' ')[0])) {
    if (!libraries.includes(library)) complaints.push(`needs the library ${library}`);
  }
  if (/\bLC_RPATH\b/.test(headers)) complaints.push('names a directory for libraries');

  const imports = symbols(file, '--undefined-only');
  complaints.push(...wrongImports(imports.map(({ name }) => name)));
  // Each is bound to its library, so that a misspelt name fails when the addon is linked. The functions
  // of Node-API are in the host.
  for (const { name, rest } of imports) {
    if (/dynamically looked up/.test(rest) && !/^(napi|node_api)_/.test(name)) {
      complaints.push(`looks for ${name} everywhere`);
    }
  }
  const exports = symbols(file, '--defined-only', '--extern-only');
  complaints.push(
    ...wrongExports(
      exports.filter(({ kind }) => !kind.includes('private')).map(({ name }) => name),
    ),
  );

  // Hardening.
  const imported = (pattern) => imports.some(({ name }) => pattern.test(name));
  if (!imported(/^__stack_chk_fail$/)) complaints.push('has no stack protector');
  if (!imported(/^__(memcpy|memmove|memset|strcpy|snprintf|vsnprintf)_chk$/)) {
    complaints.push('has no checked copies (_FORTIFY_SOURCE)');
  }
  if (symbols(file, '--debug-syms').length > imports.length + exports.length) {
    complaints.push('is not stripped');
  }
  return complaints;
}

/** The lines of llvm-nm, such as "  (undefined) external _napi_get_undefined (dynamically looked up)". */
function symbols(file, ...options) {
  const listing = tool('llvm-nm', '-m', ...options, file);
  return Array.from(
    listing.matchAll(/^[0-9a-f ]*(\(.*?(?:external|non-external)) _(\S+)(.*)$/gm),
    ([, kind, name, rest]) => ({ kind, name, rest }),
  );
}

/**
 * Whether the signature at `offset` has the SHA-256 of each page of the file before it. The layout is that
 * of Apple's xnu, osfmk/kern/cs_blobs.h, in network byte order; here only an ad-hoc signature's, whose
 * first blob is the code directory.
 */
function isSigned(content, offset) {
  const signature = content.subarray(offset);
  const directory = signature.subarray(signature.readUInt32BE(16));
  const hashesAt = directory.readUInt32BE(16);
  const count = directory.readUInt32BE(28);
  const end = directory.readUInt32BE(32);
  const hashSize = directory.readUInt8(36);
  const pageSize = 2 ** directory.readUInt8(39);
  if (end !== offset || count !== Math.ceil(end / pageSize)) return false;
  return Array.from({ length: count }).every((_, page) => {
    const bytes = content.subarray(page * pageSize, Math.min((page + 1) * pageSize, end));
    const hash = createHash('sha256').update(bytes).digest().subarray(0, hashSize);
    const at = hashesAt + page * hashSize;
    return hash.equals(directory.subarray(at, at + hashSize));
  });
}
