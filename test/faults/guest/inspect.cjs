// Shared by the scripts that look at the keys of a store after faults.
const { existsSync, readdirSync, utimesSync } = require('node:fs');
const path = require('node:path');

// The token of a payload that was made before a long test may have expired.
const renewed = (payload) => ({
  ...payload,
  tokenExpiresAt: Math.floor(Date.now() / 1000) + 600,
});

// Each listed key with its problem: that of its record, or that of signing with it; null if it signs.
async function listAndSign(store, payload) {
  const keys = [];
  for (const { keyId, error } of await store.list()) {
    const problem =
      error ??
      (await store.sign({ keyId, payload: renewed(payload) }).then(
        () => null,
        (e) => e,
      ));
    keys.push({ keyId, problem: problem && `${problem.code}: ${problem.message}` });
  }
  return keys;
}

const filesIn = (directory) => (existsSync(directory) ? readdirSync(directory) : []);

// Files of a dead process count as leftovers after some time, so makes them three hours old. Returns
// their names.
function ageLeftovers(directory) {
  const past = Date.now() / 1000 - 3 * 3600;
  const leftovers = filesIn(directory).filter((name) => !name.endsWith('.json'));
  for (const name of leftovers) utimesSync(path.join(directory, name), past, past);
  return leftovers;
}

module.exports = { ageLeftovers, filesIn, listAndSign };
