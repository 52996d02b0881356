// Runs in the guest of run-guest.sh, once for each boot of the same machine. Prints the state of
// the keys of the earlier boots and what is in their directory, then makes and deletes keys until the
// power is cut. Where no power cut is wanted, it makes one key, for the tests of later boots.
//
// /kept/journal is written and synchronised before and after each step, as live.cjs does.
const { spawn } = require('node:child_process');
const {
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  writeFileSync,
  writeSync,
} = require('node:fs');
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

async function create(store) {
  const { accountUserId, clientId } = payload;
  note('create', 'begin');
  const { keyId } = await store.create({ accountUserId, clientId });
  note('create', 'done', keyId);
  return keyId;
}

async function main() {
  const store = DeviceKeyStore.open(options);
  const before = existsSync('/kept/journal') ? readFileSync('/kept/journal', 'utf8') : '';
  const state = JSON.stringify({ journal: before, ...(await inspect(store)) });
  // Standard output is a pipe. The spaces are more than it and its reader hold, so the state has left the
  // guest when they are written, and the power cut cannot take it.
  writeFileSync(1, `${state}\n${' '.repeat(1 << 18)}\n`);
  if (powerCutAfterMs === null) {
    await create(store);
    return store.close();
  }

  // The kernel restarts the machine immediately: nothing is written back, and no driver shuts down.
  const cut = `sleep ${powerCutAfterMs / 1000}; echo b >/proc/sysrq-trigger`;
  spawn('bash', ['-c', cut], { stdio: 'ignore' });
  const kept = [];
  for (;;) {
    const keyId = await create(store);
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
