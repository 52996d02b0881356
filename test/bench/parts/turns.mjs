// The contenders side by side: they take turns in short bursts, so that what else the machine does
// falls on all of them alike. Of each burst the first third is not counted: what a process finds after
// the others' turns, in the caches and from the scheduler, is not what it has when it is at work.
import { isForeign, openContender } from '../contenders/index.mjs';
import { summary } from '../support/statistics.mjs';

/** Which operation of which contender is timed, how often in each burst. */
const plan = [
  ['softwareKey', 'sign', 150],
  ['softwareKey', 'create', 15],
  ['bare', 'sign', 150],
  ['nativeStore', 'sign', 150],
  ['nodeApi', 'sign', 150],
  ['appServer', 'sign', 150],
  ['tpm2Pkcs11', 'sign', 15],
  ['tpm2Tools', 'sign', 1],
  ['signProcess', 'sign', 1],
  ['bare', 'loadSignFlush', 90],
  ['nativeStore', 'sign16', 90],
  ['nodeApi', 'sign16', 90],
  ['bare', 'create', 15],
  ['bare', 'createSalted', 15],
  ['bare', 'createDurable', 15],
  ['bare', 'record', 15],
  ['nativeStore', 'create', 15],
  ['nodeApi', 'create', 15],
  ['nodeApiTmpfs', 'create', 15],
  ['appServer', 'create', 15],
  ['tpm2Tools', 'create', 1],
  ['nodeApi', 'public', 60],
  ['appServer', 'refused', 150],
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
  const rounds = quick ? 4 : 24;
  const times = new Map(plan.map((entry) => [entry, []]));
  const { open, leftOut } = await openAll(directories);
  try {
    for (let round = 0; round <= rounds; round += 1) {
      for (const entry of plan) {
        const [contender, operation, count] = entry;
        if (!open[contender]) continue;
        const measured = await open[contender].run(operation, count);
        if (round > 0) times.get(entry).push(...measured.slice(Math.floor(count / 3)));
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
