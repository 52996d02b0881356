// How long the event loop and libuv's pool are held up while signatures are in flight: percentiles
// of the event loop's delay and of fs.stat, idle and busy.
//
//   node test/bench/event-loop.mjs [signatures in flight, default 1000]
//
// Uses the TPM that DEVICE_KEY_TCTI names, or else starts a software TPM for the time it runs.
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';

import { DeviceKeyStore } from 'node-device-key';

const inFlight = Number(process.argv[2] ?? 1000);
const durationMs = 3000;

const owner = { accountUserId: 'account', clientId: 'client' };

function params(keyId) {
  return {
    keyId,
    payload: {
      type: 'remoteControlClientConnection',
      nonce: randomBytes(32).toString('base64url'),
      audience: 'remote_control_client_websocket',
      sessionId: 'session',
      targetOrigin: 'https://chatgpt.com',
      targetPath: '/api/codex/remote/control/client',
      ...owner,
      tokenExpiresAt: Math.floor(Date.now() / 1000) + 600,
      tokenSha256Base64url: createHash('sha256').update('token').digest('base64url'),
      scopes: ['remote_control_controller_websocket'],
    },
  };
}

function percentile(sorted, share) {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

/** Percentiles in milliseconds, over `durationMs`. */
async function measure() {
  const loop = monitorEventLoopDelay({ resolution: 1 });
  loop.enable();
  const stats = [];
  const end = performance.now() + durationMs;
  while (performance.now() < end) {
    const start = performance.now();
    await stat('/');
    stats.push(performance.now() - start);
    await delay(1);
  }
  loop.disable();
  stats.sort((a, b) => a - b);
  return {
    'loop p50': loop.percentile(50) / 1e6,
    'loop p99': loop.percentile(99) / 1e6,
    'loop max': loop.max / 1e6,
    'fs.stat p50': percentile(stats, 0.5),
    'fs.stat p99': percentile(stats, 0.99),
  };
}

async function main(directory) {
  let tpm;
  let tcti = process.env.DEVICE_KEY_TCTI;
  if (!tcti) {
    const socket = `${directory}/tpm`;
    tpm = spawn('setpriv', [
      ...['--pdeathsig', 'KILL', 'swtpm', 'socket', '--tpm2'],
      ...['--flags', 'not-need-init,startup-clear', '--tpmstate', `dir=${directory}`],
      ...['--server', `type=unixio,path=${socket}`, '--ctrl', `type=unixio,path=${socket}.ctrl`],
    ]);
    while (!existsSync(socket)) await delay(10);
    tcti = `swtpm:path=${socket}`;
  }
  const store = DeviceKeyStore.open({ directory: `${directory}/keys`, tcti, allowSimulator: true });
  try {
    const { keyId } = await store.create(owner);
    const idle = await measure();

    let busy = true;
    let signed = 0;
    const stream = async () => {
      for (; busy; signed += 1) await store.sign(params(keyId));
    };
    const streams = Array.from({ length: inFlight }, stream);
    const loaded = await measure();
    const signedMeanwhile = signed;
    busy = false;
    await Promise.all(streams);

    const rounded = (values) =>
      Object.fromEntries(Object.entries(values).map(([name, ms]) => [name, +ms.toFixed(2)]));
    console.table({ idle: rounded(idle), [`${inFlight} in flight`]: rounded(loaded) });
    console.log(`milliseconds; ${Math.round(signedMeanwhile / (durationMs / 1000))} signatures/s`);
  } finally {
    await store.close();
    if (tpm) {
      const exited = once(tpm, 'exit');
      tpm.kill('SIGKILL');
      await exited;
    }
  }
}

const directory = await mkdtemp('/tmp/dk-bench-');
try {
  await main(directory);
} finally {
  await rm(directory, { recursive: true });
}
