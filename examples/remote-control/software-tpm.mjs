// @ts-check
/**
 * A software TPM (swtpm) for the duration of a demonstration. The same libraries use it as a
 * hardware TPM. It protects nothing: its keys are in files that any process of this user can read.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const START_TIMEOUT_MS = 10_000;

/** A program is missing on this machine; the message says what to install. */
export class MissingSoftware extends Error {
  name = 'MissingSoftware';
  code = 'swtpm_missing';
}

/**
 * Starts swtpm with its state in `directory`. If setpriv (util-linux) is installed, swtpm always
 * ends with this process; without it, swtpm survives a SIGKILL of this process.
 *
 * @param {string} directory an empty directory of ours, with a short path because it contains a
 * Unix socket
 * @param {(kill: () => void) => void} atExit called with a function that must run when this process
 * ends
 * @param {{ manufacture?: boolean }} [options] manufacture: gives the TPM endorsement keys with
 *   certificates, as a maker of TPMs does
 */
export async function startSoftwareTpm(directory, atExit, { manufacture = false } = {}) {
  const swtpm = findProgram('swtpm');
  if (!swtpm) {
    throw new MissingSoftware(
      'swtpm, the software TPM, is not installed. Install it with "apt-get install swtpm" ' +
        '(Debian, Ubuntu), "dnf install swtpm" (Fedora) or "pacman -S swtpm" (Arch), ' +
        "or use this machine's own TPM: npm run demo -- --tpm",
    );
  }
  const state = join(directory, 'state');
  const socket = join(directory, 'tpm.sock');
  const control = `${socket}.ctrl`; // the swtpm TCTI of tpm2-tss looks for it here
  mkdirSync(state, { mode: 0o700 });
  const certificates = manufacture
    ? await certifySoftwareTpm(state, join(directory, 'maker'))
    : undefined;

  const setpriv = findProgram('setpriv');
  const [program, ...args] = [
    ...(setpriv ? [setpriv, '--pdeathsig', 'KILL', '--'] : []),
    ...[swtpm, 'socket', '--tpm2', '--tpmstate', `dir=${state}`],
    ...['--server', `type=unixio,path=${socket}`, '--ctrl', `type=unixio,path=${control}`],
    ...['--flags', 'not-need-init,startup-clear'],
  ];
  const child = spawn(/** @type {string} */ (program), args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  child.stdout.on('data', (chunk) => (said += chunk));
  child.stderr.on('data', (chunk) => (said += chunk));
  const ended = once(child, 'exit');
  const kill = () => child.kill('SIGKILL'); // also ends a paused swtpm
  atExit(kill);

  const deadline = Date.now() + START_TIMEOUT_MS;
  while (!(existsSync(socket) && (await answers(control)))) {
    if (child.exitCode !== null || child.signalCode !== null || Date.now() > deadline) {
      kill();
      throw new Error(`swtpm did not start: ${said.trim() || 'it said nothing'}`);
    }
    await sleep(10);
  }

  return {
    tcti: `swtpm:path=${socket}`,
    certificates,
    /** Stops answering, like a TPM that is switched off: a call that needs it waits. */
    pause: () => child.kill('SIGSTOP'),
    resume: () => child.kill('SIGCONT'),
    async stop() {
      kill();
      await ended;
    },
  };
}

/**
 * Acts as the maker of the TPM: creates a certification authority in `authority`, and stores
 * certificates of the TPM's endorsement keys in its NV memory.
 *
 * @param {string} state
 * @param {string} authority
 * @returns the certificates that a backend needs, in PEM
 */
async function certifySoftwareTpm(state, authority) {
  const [setup, localca] = [findProgram('swtpm_setup'), findProgram('swtpm_localca')];
  if (!setup || !localca) {
    throw new MissingSoftware(
      'swtpm_setup and swtpm_localca, which certify a software TPM, are not installed. Install them ' +
        'with "apt-get install swtpm-tools" (Debian, Ubuntu), "dnf install swtpm-tools" (Fedora) or ' +
        '"pacman -S swtpm" (Arch)',
    );
  }
  mkdirSync(authority, { mode: 0o700 });
  /** @param {string} name */
  const file = (name) => join(authority, name);
  /** @param {string} name @param {Record<string, string>} settings */
  const write = (name, settings) => {
    const lines = Object.entries(settings).map(([key, value]) => `${key} = ${value}\n`);
    writeFileSync(file(name), lines.join(''));
    return file(name);
  };
  const config = write('setup.conf', {
    create_certs_tool: localca,
    create_certs_tool_config: write('localca.conf', {
      statedir: authority,
      signingkey: file('key.pem'),
      issuercert: file('intermediate.pem'),
      certserial: file('serial'),
    }),
    create_certs_tool_options: write('localca.options', {}),
  });
  await promisify(execFile)(setup, [
    ...['--tpm2', '--tpmstate', `dir://${state}`, '--config', config, '--create-ek-cert'],
  ]);
  return {
    roots: [readFileSync(file('swtpm-localca-rootca-cert.pem'), 'utf8')],
    intermediates: [readFileSync(file('intermediate.pem'), 'utf8')],
  };
}

/** @param {string} name */
function findProgram(name) {
  for (const directory of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(directory, name);
    try {
      if (directory) accessSync(path, constants.X_OK);
      if (directory) return path;
    } catch {
      // Try the next directory.
    }
  }
  return undefined;
}

/**
 * Uses the control socket, because the data socket serves a single connection. @param {string} path
 */
async function answers(path) {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
