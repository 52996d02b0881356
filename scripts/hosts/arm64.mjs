// A host for arm64: npm's Node.js, under qemu's emulation of the processor, with Debian's libraries.
import { execFileSync } from 'node:child_process';
import path from 'node:path';

/** @returns the command of Node.js, and what Jest resolves modules with. `scratch` gets tpm2-tss. */
export function nodeOnArm64(scratch, runtimes) {
  const tss = path.join(scratch, 'arm64');
  for (const name of ['libtss2-sys1', 'libtss2-mu0', 'libtss2-rc0']) {
    const archive = execFileSync('scripts/debian-archive', [name], { encoding: 'utf8' }).trim();
    execFileSync('dpkg-deb', ['--extract', archive, tss]);
  }
  return {
    command: [
      ...['qemu-aarch64', '-L', '/usr/aarch64-linux-gnu'],
      ...['-E', `LD_LIBRARY_PATH=${tss}/usr/lib/aarch64-linux-gnu`],
      `${runtimes}/node-22-arm64/bin/node`,
    ],
    resolver: `${runtimes}/@unrs/resolver-binding-linux-arm64-gnu/resolver.linux-arm64-gnu.node`,
  };
}
