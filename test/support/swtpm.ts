// A real software TPM 2.0 (swtpm) for tests, behind its own Unix socket.
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

const startLimitMs = 20_000;
const toolLimitMs = 20_000;

// swtpm serves one connection at a time: close the store under test before `getcap` or `tool`.
//
// It ends with the process that started it, also after a crash; `stop` also
// removes its files.
export class SoftwareTpm {
  readonly socketPath: string;
  // The TCTI configuration string that reaches it.
  readonly tcti: string;

  // What DeviceKeyStore.open needs to know of it.
  get options(): { tcti: string; allowSimulator: true } {
    return { tcti: this.tcti, allowSimulator: true };
  }

  private child: ChildProcess | undefined;
  // What the TPM remembers; may be copied while it is off.
  stateDirectory = '';
  private states = 0;

  private constructor(private readonly directory: string) {
    this.socketPath = path.join(directory, 'tpm');
    this.tcti = `swtpm:path=${this.socketPath}`;
  }

  // A TPM fresh from the factory, running.
  static async start(): Promise<SoftwareTpm> {
    // Under /tmp, not TMPDIR: a socket's path must fit into 107 bytes.
    const tpm = new SoftwareTpm(await mkdtemp('/tmp/dk-swtpm-'));
    try {
      await tpm.swapState();
    } catch (error) {
      await tpm.stop();
      throw error;
    }
    return tpm;
  }

  // A TPM as its maker ships it: with endorsement keys of RSA 2048 and P-384, and certificates of them
  // in NV. `certificates` has the maker's root and the certificate between, in PEM.
  static async startWithCertificates(): Promise<
    SoftwareTpm & { certificates: { root: string; intermediate: string } }
  > {
    const tpm = await SoftwareTpm.start();
    try {
      await tpm.kill();
      const certificates = await tpm.manufacture();
      await tpm.powerOn();
      return Object.assign(tpm, { certificates });
    } catch (error) {
      await tpm.stop();
      throw error;
    }
  }

  // Powers on: the state of the last run, after TPM2_Startup(CLEAR). Does nothing if it runs.
  async powerOn(): Promise<void> {
    if (this.child) return;
    await rm(this.socketPath, { force: true });
    const log = openSync(this.logPath, 'a');
    // setpriv has the kernel kill swtpm when this process is gone, even after a SIGKILL.
    const child = spawn(
      'setpriv',
      [
        ...['--pdeathsig', 'KILL'],
        ...['swtpm', 'socket', '--tpm2', '--flags', 'not-need-init,startup-clear'],
        ...['--server', `type=unixio,path=${this.socketPath}`],
        ...['--ctrl', `type=unixio,path=${this.socketPath}.ctrl`],
        ...['--tpmstate', `dir=${this.stateDirectory}`],
      ],
      { stdio: ['ignore', log, log] },
    );
    closeSync(log);
    await once(child, 'spawn');
    // A TPM that a test forgot to stop must not keep Jest from ending.
    child.unref();
    this.child = child;
    await this.awaitSocket(child);
  }

  // Power loss, without an orderly shutdown.
  async kill(): Promise<void> {
    const child = this.child;
    this.child = undefined;
    if (child?.exitCode !== null || child.signalCode !== null) return; // never ran, or gone
    const exited = once(child, 'exit');
    child.ref();
    child.kill('SIGKILL');
    await exited;
  }

  // Power loss and power on: keys in NV stay, loaded objects and sessions are gone.
  async restart(): Promise<void> {
    await this.kill();
    await this.powerOn();
  }

  // The TPM stops answering, with its sockets open, until `resume`.
  pause(): void {
    this.child?.kill('SIGSTOP');
  }

  resume(): void {
    this.child?.kill('SIGCONT');
  }

  // Another TPM, fresh from the factory, behind the same socket.
  async swapState(): Promise<void> {
    await this.kill();
    this.states += 1;
    this.stateDirectory = path.join(this.directory, `state${this.states}`);
    await mkdir(this.stateDirectory);
    await this.powerOn();
  }

  // What `tpm2_getcap` prints: for 'handles-transient' or 'handles-loaded-session' a line for each
  // handle, so an empty string when there is none.
  async getcap(capability: string): Promise<string> {
    return this.tool('tpm2_getcap', capability);
  }

  // Standard output of one of tpm2-tools, run against this TPM.
  async tool(command: string, ...args: string[]): Promise<string> {
    const { stdout } = await promisify(execFile)(command, args, {
      env: { ...process.env, TPM2TOOLS_TCTI: this.tcti },
      timeout: toolLimitMs,
      killSignal: 'SIGKILL',
    });
    return stdout;
  }

  private async manufacture(): Promise<{ root: string; intermediate: string }> {
    const authority = path.join(this.directory, 'authority');
    const file = (name: string) => path.join(authority, name);
    await mkdir(authority);
    await writeFile(
      file('localca.conf'),
      [
        `statedir = ${authority}`,
        `signingkey = ${file('signing-key.pem')}`,
        `issuercert = ${file('intermediate.pem')}`,
        `certserial = ${file('serial')}`,
      ].join('\n'),
    );
    await writeFile(file('localca.options'), '\n');
    await writeFile(
      file('setup.conf'),
      [
        'create_certs_tool = /usr/bin/swtpm_localca',
        `create_certs_tool_config = ${file('localca.conf')}`,
        `create_certs_tool_options = ${file('localca.options')}`,
      ].join('\n'),
    );
    await promisify(execFile)('swtpm_setup', [
      ...['--tpm2', '--tpmstate', `dir://${this.stateDirectory}`, '--overwrite'],
      ...['--config', file('setup.conf'), '--create-ek-cert'],
    ]);
    return {
      root: await readFile(file('swtpm-localca-rootca-cert.pem'), 'utf8'),
      intermediate: await readFile(file('intermediate.pem'), 'utf8'),
    };
  }

  async stop(): Promise<void> {
    await this.kill();
    await rm(this.directory, { recursive: true, force: true });
  }

  private get logPath(): string {
    return path.join(this.directory, 'log');
  }

  private async awaitSocket(child: ChildProcess): Promise<void> {
    const deadline = Date.now() + startLimitMs;
    while (!(await accepts(this.socketPath))) {
      const ended = child.exitCode !== null || child.signalCode !== null;
      if (ended || Date.now() > deadline) {
        await this.kill();
        const log = await readFile(this.logPath, 'utf8');
        throw new Error(`swtpm ${ended ? 'ended at once' : 'accepts no connections'}: ${log}`);
      }
      await delay(5);
    }
  }
}

async function accepts(socketPath: string): Promise<boolean> {
  const socket = net.connect(socketPath);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
