// Runs in the guest of run-guest.sh, once for each boot of the same machine. Prints the state of
// the keys of the earlier boots and what is in their directory, then makes and deletes keys until the
// power is cut.
//
// /kept/journal is written and synchronised before and after each step, as live.cjs does.
const { spawn } = require('node:child_process');
const {
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  utimesSync,
  writeSync,
} = require('node:fs');
const path = require('node:path');
const { DeviceKeyStore } = require('node-device-key');

const { payload, powerCutAfterMs } = JSON.parse(process.argv[2]);
const directory = '/kept/keys';
const options = { directory, timeoutMs: 60_000 };
const journal = openSync('/kept/journal', 'a');

function note(...words) {
  writeSync(journal, `${words.join(' ')}\n`);
  fsyncSync(journal);
}

// Files of a dead process count as leftovers after some time, so makes them three hours old. Returns
// their names.
function ageLeftovers() {
  const past = Date.now() / 1000 - 3 * 3600;
  const names = existsSync(directory) ? readdirSync(directory) : [];
  const leftovers = names.filter((name) => !name.endsWith('.json'));
  for (const name of leftovers) utimesSync(path.join(directory, name), past, past);
  return leftovers;
}

// `list` removes the leftovers.
async function inspect(store) {
  const leftovers = ageLeftovers();
  const keys = [];
  for (const { keyId, error } of await store.list()) {
    const problem = error ?? (await store.sign({ keyId, payload }).then(() => null, String));
    keys.push({ keyId, problem: problem && String(problem.message ?? problem) });
  }
  const files = existsSync(directory) ? readdirSync(directory) : [];
  return { leftovers, keys, files };
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
