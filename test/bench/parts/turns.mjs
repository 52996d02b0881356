// Compares the contenders. They take turns, so that other load on the machine affects all of them
// equally.
//
// A burst lasts somewhat longer than the scheduler needs to settle: about half a second for
// operations of less than a millisecond. At the start of a burst, a process and its TPM run on one
// processor. Within some 50 ms the scheduler spreads them over two, where each wake-up of the other
// process costs more; on two virtual CPUs a bare signature is then slower by an eighth. The more
// threads a contender has, the sooner that happens, so shorter bursts would compare one contender's
// first state with another's second. The first third of each burst is not counted.
//
// A refusal by the app-server is reported in both states, as it is not compared with anything: a
// round trip between two processes takes twice as long on two processors, and clients with
// occasional requests, as after other contenders' turns, get the first state.
import { isForeign, openContender } from '../contenders/index.mjs';
import { summary } from '../support/statistics.mjs';

/**
 * The measured operation of each contender, and the number of operations in each burst; and the
 * table, if not the default.
 */
const plan = [
  ['softwareKey', 'sign', 1500],
  ['softwareKey', 'create', 150],
  ['bare', 'sign', 1500],
  ['nativeStore', 'sign', 1500],
  ['nodeApi', 'sign', 1500],
  ['nodeApiClocked', 'sign', 1500, 'sign, all but the TPM'],
  ['nodeApiClockedOneCore', 'sign', 1500, 'sign, all but the TPM'],
  ['bareOneCore', 'sign', 1500, 'sign, on one core'],
  ['nodeApiOneCore', 'sign', 1500, 'sign, on one core'],
  ['appServer', 'sign', 1500],
  ['tpm2Pkcs11', 'sign', 300],
  ['tpm2Tools', 'sign', 2],
  ['signProcess', 'sign', 2],
  ['appServer', 'refused', 150, 'refused, now and then'],
  ['bare', 'loadSignFlush', 900],
  ['nativeStore', 'sign16', 1200],
  ['nodeApi', 'sign16', 1200],
  ['bare', 'create', 150],
  ['bare', 'createDurable', 150],
  ['bare', 'record', 150],
  ['nativeStore', 'create', 150],
  ['nodeApi', 'create', 150],
  ['nodeApiTmpfs', 'create', 150],
  ['appServer', 'create', 150],
  ['tpm2Tools', 'create', 2],
  ['nodeApi', 'public', 6000],
  ['appServer', 'refused', 6000],
];

async function openAll(directories) {
  const open = {};
  const leftOut = {};
  try {
    for (const name of new Set(plan.map(([contender]) => contender))) {
      try {
        open[name] = await openContender(name, directories);
      } catch (error) {
        if (!isForeign(name)) throw error; // our own contenders must run
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

/**
 * `operations`: by table and contender, in microseconds; `leftOut`: the contenders that could not
 * run, and why.
 */
export async function turns(directories, quick) {
  const rounds = quick ? 1 : 12;
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
  for (const [[contender, operation, , table = operation], measured] of times) {
    if (measured.length > 0) (operations[table] ??= {})[contender] = summary(measured);
  }
  return { operations, leftOut };
}
