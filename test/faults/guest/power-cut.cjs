// Runs in the guest of run-guest.sh, once for each boot of the same machine. Prints the state of
// the keys of the earlier boots and what is in their directory, then makes and deletes keys until the
// power is cut.
//
// /kept/journal is written and synchronised before and after each step, as live.cjs does.
const { spawn } = require('node:child_process');
const { existsSync, fsyncSync, openSync, readFileSync, writeSync } = require('node:fs');
const { DeviceKeyStore } = require('node-device-key');
const { ageLeftovers, filesIn, listAndSign } = require('./inspect.cjs');

const { payload, powerCutAfterMs } = JSON.parse(process.argv[2]);
const directory = '/kept/keys';
const options = { directory, timeoutMs: 60_000 };
const journal = openSync('/kept/journal', 'a');

function note(...words) {
  writeSync(journal, `${words.join(' ')}\n`);
  fsyncSync(journal);
}

// `list` removes the leftovers.
async function inspect(store) {
  const leftovers = ageLeftovers(directory);
  const keys = await listAndSign(store, payload);
  return { leftovers, keys, files: filesIn(directory) };
}

async function main() {
  const store = DeviceKeyStore.open(options);
  const before = existsSync('/kept/journal') ? readFileSync('/kept/journal', 'utf8') : '';
  process.stdout.write(`${JSON.stringify({ journal: before, ...(await inspect(store)) })}\n`);
  if (powerCutAfterMs === null) return store.close();

  // The kernel restarts the machine immediately: nothing is written back, and no driver shuts down.
  const cut = `sleep ${powerCutAfterMs / 1000}; echo b >/proc/sysrq-trigger`;
  spawn('bash', ['-c', cut], { stdio: 'ignore' });
  const { accountUserId, clientId } = payload;
  const kept = [];
  for (;;) {
    note('create', 'begin');
    const { keyId } = await store.create({ accountUserId, clientId });
    note('create', 'done', keyId);
    await store.sign({ keyId, payload });
    kept.push(keyId);
    if (kept.length > 2) {
      const old = kept.shift();
      note('delete', 'begin', old);
      await store.delete({ keyId: old });
      note('delete', 'done', old);
    }
  }
}

void main();
