// A separate SoftHSM for a test: real PKCS#11 tokens, as files in a directory under /tmp.
import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

import { linuxLibraries } from './platform';

const run = promisify(execFile);

export const softHsmModule = '/usr/lib/softhsm/libsofthsm2.so';

// Logs the calls to the module that PKCS11SPY names.
export const pkcs11Spy = `${linuxLibraries}/pkcs11/pkcs11-spy.so`;

export class SoftHsm {
  readonly pin = '1234';
  readonly soPin = '12345678';

  private constructor(readonly directory: string) {}

  // Has no tokens.
  static async make(): Promise<SoftHsm> {
    const hsm = new SoftHsm(await mkdtemp('/tmp/dk-softhsm-'));
    await mkdir(hsm.tokens);
    await writeFile(
      hsm.configuration,
      `directories.tokendir = ${hsm.tokens}\nobjectstore.backend = file\nlog.level = ERROR\n`,
    );
    return hsm;
  }

  get configuration(): string {
    return path.join(this.directory, 'softhsm2.conf');
  }

  get tokens(): string {
    return path.join(this.directory, 'tokens');
  }

  async addToken(label: string, pin = this.pin): Promise<void> {
    await run(
      'softhsm2-util',
      [...['--init-token', '--free', '--label', label], ...['--pin', pin, '--so-pin', this.soPin]],
      { env: { ...process.env, ...this.environment } },
    );
  }

  // Removes the tokens until `putBack`.
  async takeOut(): Promise<void> {
    await rename(this.tokens, `${this.tokens}.out`);
    await mkdir(this.tokens);
  }

  async putBack(): Promise<void> {
    await rm(this.tokens, { recursive: true });
    await rename(`${this.tokens}.out`, this.tokens);
  }

  // The output of pkcs11-tool, logged in unless `pin` is null.
  async tool(args: string[], pin: string | null = this.pin): Promise<string> {
    const { stdout, stderr } = await run(
      'pkcs11-tool',
      ['--module', softHsmModule, ...(pin === null ? [] : ['--login', '--pin', pin]), ...args],
      { env: { ...process.env, ...this.environment } },
    );
    return stdout + stderr;
  }

  // Gives the tokens to another user, who alone can read them.
  async giveTo(uid: number): Promise<void> {
    await chmod(this.directory, 0o755);
    await chmod(this.tokens, 0o700);
    await run('chown', ['-R', `${uid}:${uid}`, this.tokens]);
  }

  async remove(): Promise<void> {
    await rm(this.directory, { recursive: true, force: true });
  }

  // The variables for programs that use these tokens.
  get environment(): Record<string, string> {
    return { SOFTHSM2_CONF: this.configuration };
  }
}
