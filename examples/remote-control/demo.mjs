#!/usr/bin/env node
// @ts-check
/** The whole life of a device key, with a TPM, a backend and a client. See --help. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Report, check } from './report.mjs';
import { startSoftwareTpm } from './software-tpm.mjs';

const HELP = `Usage: npm run demo [-- OPTION...]

Shows the whole life of a device key: a backend on loopback enrolls a key that is made in a TPM,
accepts its proofs over a WebSocket, and refuses proofs that are replayed, changed or somebody
else's. Every step is real (HTTP, WebSocket, TPM signatures) and is checked.

  --attest the backend enrolls a key only when the TPM proves that the key is in it; the software
           TPM gets certificates of a maker, this machine's own TPM is only recognised
  --dpop   shows OAuth tokens that are bound to a key (RFC 9449) instead: a real authorization
           server, and a thief with each of the tokens
  --tpm    use this machine's own TPM 2.0 (/dev/tpmrm0) instead of a software TPM (swtpm);
           the keys made are deleted at the end
  --json   print one JSON document instead of lines
  --help   print this

Exit status: 0 every step passed, 1 a step failed, 2 the options are wrong.
`;

const CLOSE_LIMIT_MS = 5_000;

const undo = /** @type {(() => void)[]} */ ([]);
/** @param {() => void} action */
const atExit = (action) => void undo.push(action);
// Every end of this process except SIGKILL runs this.
process.on('exit', () => undo.reverse().forEach((action) => action()));

/** @type {import('node-device-key').DeviceKeyStore | undefined} */
let openStore;
/** @type {number | undefined} */
let interruptStatus;
for (const [signal, status] of Object.entries({ SIGINT: 130, SIGTERM: 143, SIGHUP: 129 })) {
  process.on(signal, async () => {
    interruptStatus = status;
    // A store that is still working would create its directory again after it was removed.
    await Promise.race([openStore?.close(), sleep(CLOSE_LIMIT_MS)]);
    process.exit(status);
  });
}

const options = readOptions();
if (options.help) {
  process.stdout.write(HELP);
} else {
  // Not process.exitCode: after a failure the TPM is still running, and Node.js would wait for it.
  const status = await run(options);
  process.exit(interruptStatus ?? status);
}

function readOptions() {
  try {
    return parseArgs({
      options: {
        attest: { type: 'boolean' },
        dpop: { type: 'boolean' },
        tpm: { type: 'boolean' },
        json: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    }).values;
  } catch (error) {
    process.stderr.write(`${/** @type {Error} */ (error).message}\n\n${HELP}`);
    process.exit(2);
  }
}

/**
 * @param {{ attest?: boolean, dpop?: boolean, tpm?: boolean, json?: boolean }} options
 * @returns {Promise<number>} the exit status
 */
async function run({ attest = false, dpop = false, tpm = false, json = false }) {
  const report = new Report({ json });
  // It contains a Unix socket, whose path must fit into 107 bytes.
  const parent = tmpdir().length < 70 ? tmpdir() : '/tmp';
  const directory = mkdtempSync(join(parent, 'device-key-demo-'));
  // With retries, because a swtpm that is being killed may still write a file into it.
  const removeFiles = () => rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  atExit(removeFiles);
  try {
    // Not a static import: it needs the built package, which --help does not need.
    const { lifeOfAKey } = await import('./life-of-a-key.mjs');
    const { boundTokens } = await import('../dpop/bound-tokens.mjs');
    const softwareTpm = tpm
      ? undefined
      : await startSoftwareTpm(directory, atExit, { manufacture: attest });
    report.begin(
      dpop ? 'OAuth tokens bound to a device key (DPoP)' : 'The life of a device key',
      softwareTpm
        ? 'SOFTWARE TPM (swtpm): protects nothing, for demonstration'
        : "this machine's TPM 2.0, /dev/tpmrm0",
    );
    const storeOptions = {
      directory: join(directory, 'keys'),
      tcti: softwareTpm ? softwareTpm.tcti : 'device:/dev/tpmrm0',
      allowSimulator: Boolean(softwareTpm),
    };
    /** @param {import('node-device-key').DeviceKeyStore} store */
    const onStore = (store) => void (openStore = store);
    if (dpop) {
      await boundTokens({ report, storeOptions, onStore });
    } else {
      await lifeOfAKey({
        report,
        softwareTpm,
        // Null: accept any TPM. The backend can recognise it later, but no maker certifies it.
        ...(attest && { attestationTrust: softwareTpm?.certificates ?? null }),
        storeOptions,
        onStore,
        atExit,
      });
    }
    await report.step(
      'nothing is left',
      async () => {
        await softwareTpm?.stop();
        removeFiles();
        check(!existsSync(directory), `${directory} is still there`);
      },
      () =>
        softwareTpm
          ? 'swtpm has ended, its files and the store are removed'
          : 'the store is removed',
    );
    report.succeed(`All ${report.steps.length} steps passed.`);
    return 0;
  } catch (error) {
    if (interruptStatus === undefined) report.fail(error);
    return 1;
  }
}
