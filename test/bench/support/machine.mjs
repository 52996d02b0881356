// The machine that the figures were measured on.
import { execFileSync } from 'node:child_process';
import os from 'node:os';

function firstLine(command, ...args) {
  try {
    return execFileSync(command, args, { encoding: 'utf8' }).split('\n')[0].trim();
  } catch {
    return undefined;
  }
}

export function machine() {
  return {
    cpu: os.cpus()[0].model.trim(),
    cores: os.cpus().length,
    kernel: os.release(),
    node: process.version,
    swtpm: firstLine('swtpm', '--version')?.match(/version ([\d.]+)/)?.[1],
    'tpm2-tss': firstLine('pkg-config', '--modversion', 'tss2-esys'),
    'tpm2-pkcs11': firstLine('dpkg-query', '-f', '${Version}', '-W', 'libtpm2-pkcs11-1'),
    'tpm2-tools': firstLine('dpkg-query', '-f', '${Version}', '-W', 'tpm2-tools'),
    compiler: firstLine('c++', '--version'),
  };
}
