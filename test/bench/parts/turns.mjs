// The contenders side by side: they take turns in short bursts, so that what else the machine does
// falls on all of them alike. In bursts, as what a process finds in the caches after another's turn is
// not what it has when it is at work.
import { isForeign, openContender } from '../contenders/index.mjs';
import { summary } from '../support/statistics.mjs';

/** Which operation of which contender is timed, how often in each round. */
const plan = [
  ['softwareKey', 'sign', 50],
  ['softwareKey', 'create', 5],
  ['bare', 'sign', 50],
  ['nativeStore', 'sign', 50],
  ['nodeApi', 'sign', 50],
  ['appServer', 'sign', 50],
  ['tpm2Pkcs11', 'sign', 10],
  ['tpm2Tools', 'sign', 1],
  ['signProcess', 'sign', 1],
  ['bare', 'loadSignFlush', 50],
  ['nativeStore', 'sign16', 50],
  ['nodeApi', 'sign16', 50],
  ['bare', 'create', 10],
  ['bare', 'createSalted', 10],
  ['bare', 'createDurable', 10],
  ['bare', 'record', 10],
  ['nativeStore', 'create', 10],
  ['nodeApi', 'create', 10],
  ['nodeApiTmpfs', 'create', 10],
  ['appServer', 'create', 10],
  ['tpm2Tools', 'create', 1],
  ['nodeApi', 'public', 50],
  ['appServer', 'refused', 50],
];

async function openAll(directories) {
  const open = {};
  const leftOut = {};
  try {
    for (const name of new Set(plan.map(([contender]) => contender))) {
      try {
        open[name] = await openContender(name, directories);
      } catch (error) {
        if (!isForeign(name)) throw error; // what is ours must run
        leftOut[name] = error.message.split('\n')[0];
        console.error(`left out: ${name}: ${error.message}`);
      }
    }
  } catch (error) {
    await stopAll(open);
    throw error;
  }
  return { open, leftOut };
}

async function stopAll(open) {
  for (const contender of Object.values(open)) await contender.stop();
}

/** `operations`: by operation and contender, in microseconds; `leftOut`: who could not run, and why. */
export async function turns(directories, quick) {
  const rounds = quick ? 4 : 40;
  const times = new Map(plan.map((entry) => [entry, []]));
  const { open, leftOut } = await openAll(directories);
  try {
    for (let round = 0; round <= rounds; round += 1) {
      for (const entry of plan) {
        const [contender, operation, count] = entry;
        if (!open[contender]) continue;
        const measured = await open[contender].run(operation, count);
        if (round > 0) times.get(entry).push(...measured); // the first one warms up
      }
    }
  } finally {
    await stopAll(open);
  }
  const operations = {};
  for (const [[contender, operation], measured] of times) {
    if (measured.length > 0) (operations[operation] ??= {})[contender] = summary(measured);
  }
  return { operations, leftOut };
}
