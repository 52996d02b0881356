// The key store that stands in for Windows' own under Wine (stand_in_ncrypt.cc). There is one for all
// programs of a Wine prefix; tests that use it run one after the other.
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

// Where its keys are, a file each, and where it is told how to behave.
export const standInHome = process.env['NCRYPT_STAND_IN'] ?? '';

// Each call is one line of `behaviour.txt`, as stand_in_ncrypt.cc lists them; none: as it should.
export function behave(...lines: string[]): void {
  writeFileSync(path.join(standInHome, 'behaviour.txt'), lines.join('\n'));
}

// `platform-…` and `software-…`, by the provider, then the name of the key.
export function storedKeys(): string[] {
  return readdirSync(standInHome).filter((name) => /^(platform|software)-/.test(name));
}

export function loseKeys(names: string[]): void {
  for (const name of names) rmSync(path.join(standInHome, name));
}

// As much of SoftwareTpm as the tests use that run on Windows too.
export class StandInTpm {
  readonly options = {};
  private readonly others = new Set(storedKeys());

  constructor() {
    behave();
  }

  pause(): void {
    behave('pause');
  }

  resume(): void {
    behave();
  }

  restart(): Promise<void> {
    this.resume();
    return Promise.resolve();
  }

  // Another TPM: the keys made since the start are gone.
  swapState(): Promise<void> {
    loseKeys(storedKeys().filter((name) => !this.others.has(name)));
    return Promise.resolve();
  }

  // Windows' key stores keep nothing loaded that could be counted from outside.
  getcap(): Promise<string> {
    return Promise.resolve('');
  }

  stop(): Promise<void> {
    return this.restart();
  }
}
