// Controls the stand-in for Windows' key stores under Wine (stand_in_ncrypt.cc). All programs of a Wine
// prefix share it, so tests that use it run one after the other.
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

// The directory of its keys (one file each) and of behaviour.txt.
export const standInHome = process.env['NCRYPT_STAND_IN'] ?? '';

// Each argument is a line of `behaviour.txt`, as in stand_in_ncrypt.cc. Without arguments it works
// correctly.
export function behave(...lines: string[]): void {
  writeFileSync(path.join(standInHome, 'behaviour.txt'), lines.join('\n'));
}

// `platform-…` or `software-…` for the provider, then the name of the key.
export function storedKeys(): string[] {
  return readdirSync(standInHome).filter((name) => /^(platform|software)-/.test(name));
}

export function loseKeys(names: string[]): void {
  for (const name of names) rmSync(path.join(standInHome, name));
}

// The part of SoftwareTpm that is used by tests which also run on Windows.
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

  // Replaces the TPM: the keys made since the start are gone.
  swapState(): Promise<void> {
    loseKeys(storedKeys().filter((name) => !this.others.has(name)));
    return Promise.resolve();
  }

  // Windows' key stores have no loaded keys to count.
  getcap(): Promise<string> {
    return Promise.resolve('');
  }

  stop(): Promise<void> {
    return this.restart();
  }
}
