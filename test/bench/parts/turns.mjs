// The contenders side by side: they take turns, so that what else the machine does falls on all of
// them alike.
//
// A burst lasts until the scheduler has settled, and some more: about half a second for what takes
// less than a millisecond. After the others' turns a process and its TPM begin on one processor, and
// within some 50 ms they are spread over two, where each wake-up of the other one costs more; on two
// virtual CPUs a bare signature is then slower by an eighth. The more threads a contender has the
// sooner that happens to it, so that shorter bursts compare one contender's first state with
// another's second. The first third of each burst is not counted.
//
// A refusal by the app-server is given in both states, as it is not compared with anything: to and
// fro between two processes takes twice as long on two processors, and clients who ask now and then,
// as after other contenders' turns, find the first.
import { isForeign, openContender } from '../contenders/index.mjs';
import { summary } from '../support/statistics.mjs';

/** Which operation of which contender is timed, how often in each burst; the table, if another. */
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

/** `operations`: by table and contender, in microseconds; `leftOut`: who could not run, and why. */
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
