// A separate software TPM for each contender: swtpm serves one connection at a time.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/** Starts one. The kernel ends it with this process; `stop` also removes its files. */
export async function startSoftwareTpm() {
  // Always under /tmp, because a socket's path must fit into 107 bytes and TMPDIR may be long.
  const directory = await mkdtemp('/tmp/dk-bench-tpm-');
  const socket = `${directory}/tpm`;
  const child = spawn(
    'setpriv',
    [
      ...['--pdeathsig', 'KILL', 'swtpm', 'socket', '--tpm2'],
      ...['--flags', 'not-need-init,startup-clear', '--tpmstate', `dir=${directory}`],
      ...['--server', `type=unixio,path=${socket}`, '--ctrl', `type=unixio,path=${socket}.ctrl`],
    ],
    { stdio: 'ignore' },
  );
  for (let tries = 0; !(await accepts(socket)); tries += 1) {
    if (tries > 1000 || child.exitCode !== null) throw new Error('swtpm does not start');
    await delay(10);
  }
  return {
    pid: child.pid,
    tcti: `swtpm:path=${socket}`,
    async stop() {
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function accepts(path) {
  const socket = net.connect(path);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
