// Runs in the guest of run-guest.sh. Prints the results of two tests: many processes that use one
// store through /dev/tpmrm0 at once; and another program that occupies all slots of the TPM through
// /dev/tpm0.
const { execFileSync, spawn } = require('node:child_process');
const { once } = require('node:events');
const { readFileSync } = require('node:fs');
const { DeviceKeyStore } = require('node-device-key');

const { payload, processes, lives } = JSON.parse(process.argv[2]);
const { accountUserId, clientId } = payload;
const options = { directory: '/tmp/keys', timeoutMs: 60_000 };

async function crowd() {
  const steps = await Promise.all(
    Array.from({ length: processes }, async (_, i) => {
      const progress = `/tmp/progress-${i}`;
      const input = JSON.stringify({ options, payload, progress, lives });
      await once(spawn(process.execPath, ['live.cjs', input], { stdio: 'inherit' }), 'close');
      return readFileSync(progress, 'utf8').trim().split('\n');
    }),
  );
  return steps.flat();
}

async function inspect() {
  const store = DeviceKeyStore.open(options);
  const problems = [];
  const keys = await store.list();
  for (const { keyId } of keys) {
    await store.sign({ keyId, payload }).catch((error) => problems.push(error.message));
  }
  await store.close();
  return { keys: keys.length, problems };
}

// A primary object that is made through /dev/tpm0 stays loaded until it is flushed there.
async function starve() {
  const store = DeviceKeyStore.open({ ...options, timeoutMs: 3_000 });
  const { keyId } = await store.create({ accountUserId, clientId });
  const bare = { env: { ...process.env, TPM2TOOLS_TCTI: 'device:/dev/tpm0' } };
  let held = 0;
  try {
    for (; held < 8; ++held) {
      execFileSync('tpm2_createprimary', ['-Q', '-c', `/tmp/held-${held}.ctx`], {
        ...bare,
        stdio: 'ignore',
      });
    }
  } catch {
    // All slots are taken.
  }
  const sign = () =>
    store.sign({ keyId, payload }).then(
      () => 'signed',
      ({ code }) => code,
    );
  const starved = await sign();
  execFileSync('tpm2_flushcontext', ['-Q', '--transient-object'], bare);
  const after = await sign();
  await store.close();
  return { held, starved, after };
}

async function main() {
  const steps = await crowd();
  const inspection = await inspect();
  const starvation = await starve();
  const handles = execFileSync('tpm2_getcap', ['--tcti=device:/dev/tpm0', 'handles-transient']);
  process.stdout.write(JSON.stringify({ steps, inspection, starvation, handles: String(handles) }));
}

void main();
