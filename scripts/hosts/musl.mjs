// A host for musl on this machine: npm's Bun with Debian's musl. It gets the C++ library and tpm2-tss of
// this system, which are for glibc; test/support/hosts/glibc_for_musl.c adds what they miss.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync } from 'node:fs';
import path from 'node:path';

const loader = 'ld-musl-x86_64.so.1';
const glibcLibraries =
  'libstdc++.so.6 libgcc_s.so.1 libtss2-sys.so.1 libtss2-mu.so.0 libtss2-rc.so.0';

/** @returns the command that runs a program of Bun. `scratch` gets the libraries. */
export function bunOnMusl(scratch, runtimes) {
  const libraries = path.join(scratch, 'musl');
  mkdirSync(libraries);
  // As a file of that name, like Alpine's. Debian has a link.
  copyFileSync(`/lib/${loader}`, path.join(libraries, loader));
  for (const name of glibcLibraries.split(' ')) {
    const found = execFileSync('cc', [`-print-file-name=${name}`], { encoding: 'utf8' }).trim();
    copyFileSync(found, path.join(libraries, name));
  }
  // Both libstdc++ and tpm2-tss ask for glibc's loader.
  execFileSync('cc', [
    ...['-shared', '-fPIC', '-nostdlib', '-fno-stack-protector'],
    ...['-Wl,-soname,ld-linux-x86-64.so.2', '-o', path.join(libraries, 'ld-linux-x86-64.so.2')],
    'test/support/hosts/glibc_for_musl.c',
  ]);
  return [
    ...[path.join(libraries, loader), '--library-path', libraries],
    `${runtimes}/@oven/bun-linux-x64-musl/bin/bun`,
  ];
}
