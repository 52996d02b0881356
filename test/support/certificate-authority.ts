// A certification authority with openssl, for certificates that no TPM maker would issue.
import { execFile } from 'node:child_process';
import { createPublicKey, X509Certificate, type KeyObject } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

export interface CertificateContents {
  /** The distinguished name in openssl's syntax: `/CN=name`. */
  subject?: string;
  /** Lines of an extensions section, such as `basicConstraints = CA:true`. */
  extensions?: string[];
  /** Options of the signature: `-sha1`, `-sigopt rsa_padding_mode:pss`. Default: SHA-256. */
  signature?: string[];
  /** Validity in days from now. Default 30. */
  days?: number;
}

const keyOptions = {
  rsa: ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'],
  ec: ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'],
};

/** One issuer: its certificate, its key, and the certificates that it signs. */
export class CertificateAuthority {
  private count = 0;

  private constructor(
    private readonly directory: string,
    private readonly name: string,
    readonly certificate: X509Certificate,
  ) {}

  /** A root. `close` removes its files, and those of all authorities that it has certified. */
  static async create(
    keyType: keyof typeof keyOptions,
    contents: CertificateContents = {},
  ): Promise<CertificateAuthority> {
    const directory = await mkdtemp(path.join(tmpdir(), 'dk-ca-'));
    await makeKey(directory, 'root', keyType);
    const { extensions = ['basicConstraints = critical, CA:true'] } = contents;
    await writeFile(
      path.join(directory, 'root.cnf'),
      `[req]\ndistinguished_name = dn\n[dn]\n[ext]\n${extensions.join('\n')}\n`,
    );
    await openssl(directory, [
      ...['req', '-x509', '-config', 'root.cnf', '-extensions', 'ext', '-key', 'root.key'],
      ...['-subj', contents.subject ?? '/CN=root', '-days', String(contents.days ?? 30)],
      ...(contents.signature ?? ['-sha256']),
      ...['-out', 'root.pem'],
    ]);
    return new CertificateAuthority(directory, 'root', await load(directory, 'root'));
  }

  /** Issues a certificate for `publicKey`, in DER. */
  async issue(publicKey: KeyObject, contents: CertificateContents = {}): Promise<X509Certificate> {
    const name = `${this.name}-${(this.count += 1)}`;
    return this.sign(name, publicKey, contents);
  }

  /** Issues a certificate for another authority. */
  async issueAuthority(contents: CertificateContents = {}): Promise<CertificateAuthority> {
    const name = `${this.name}-${(this.count += 1)}`;
    await makeKey(this.directory, name, 'ec');
    const publicKey = createPublicKey(await readFile(path.join(this.directory, `${name}.key`)));
    const certificate = await this.sign(name, publicKey, {
      subject: `/CN=${name}`,
      extensions: ['basicConstraints = critical, CA:true'],
      ...contents,
    });
    return new CertificateAuthority(this.directory, name, certificate);
  }

  async close(): Promise<void> {
    await rm(this.directory, { recursive: true });
  }

  private async sign(
    name: string,
    publicKey: KeyObject,
    { subject = '/CN=device', extensions = [], signature, days = 30 }: CertificateContents,
  ): Promise<X509Certificate> {
    const file = (extension: string) => path.join(this.directory, `${name}.${extension}`);
    await writeFile(file('pub'), publicKey.export({ format: 'pem', type: 'spki' }));
    await writeFile(file('ext'), `[ext]\n${extensions.join('\n')}\n`);
    await openssl(this.directory, [
      ...['x509', '-new', '-force_pubkey', `${name}.pub`, '-subj', subject],
      ...['-CA', `${this.name}.pem`, '-CAkey', `${this.name}.key`],
      ...['-extfile', `${name}.ext`, '-extensions', 'ext', '-days', String(days)],
      ...(signature ?? ['-sha256']),
      ...['-out', `${name}.pem`],
    ]);
    return load(this.directory, name);
  }
}

async function makeKey(directory: string, name: string, type: keyof typeof keyOptions) {
  await openssl(directory, ['genpkey', ...keyOptions[type], '-out', `${name}.key`]);
}

async function load(directory: string, name: string): Promise<X509Certificate> {
  return new X509Certificate(await readFile(path.join(directory, `${name}.pem`)));
}

async function openssl(directory: string, args: string[]): Promise<void> {
  await promisify(execFile)('openssl', args, { cwd: directory });
}
