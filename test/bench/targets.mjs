// The targets for the figures: ratios of medians within one run.
import { median } from './support/statistics.mjs';

const limits = {
  atMost: (limit) => ({ text: `≤ ${limit}`, holds: (value) => value <= limit }),
  atLeast: (limit) => ({ text: `≥ ${limit}`, holds: (value) => value >= limit }),
  below: (limit) => ({ text: `< ${limit}`, holds: (value) => value < limit }),
};
const { atMost, atLeast, below } = limits;

/** Rows of a table, without those that were not measured. */
export function targets({ turns, flight, pure, start, verify }) {
  const rows = [];
  const row = (what, value, unit, limit) => {
    if (value === undefined || Number.isNaN(value)) return;
    rows.push({
      what,
      measured: Math.round(value * 100) / 100,
      unit,
      target: limit?.text ?? '',
      met: limit ? (limit.holds(value) ? 'yes' : 'NO') : '',
    });
  };
  if (turns) {
    const at = (operation, contender) => turns.operations[operation]?.[contender]?.median;
    const sign = at('sign', 'nodeApi');
    const create = at('create', 'nodeApi');
    const floor = at('create', 'bare');
    const onOneCore = (contender) => at('sign, on one core', contender);
    row('sign / bare TPM2_Sign', sign / at('sign', 'bare'), '×', atMost(1.35));
    row('… on one core', onOneCore('nodeApiOneCore') / onOneCore('bareOneCore'), '×');
    const durableFloor = at('createDurable', 'bare');
    row('create / bare Create + Load + one durable file', create / durableFloor, '×', atMost(1.2));
    row('… without the file', create / floor, '×');
    row('… records on tmpfs', at('create', 'nodeApiTmpfs') / floor, '×');
    row("tpm2-tools' sign / ours", at('sign', 'tpm2Tools') / sign, '×', atLeast(60));
    row("tpm2-tools' create / ours", at('create', 'tpm2Tools') / create, '×', atLeast(15));
    row("tpm2-pkcs11's sign / ours", at('sign', 'tpm2Pkcs11') / sign, '×', atLeast(5));
    row(
      '16 keys in turn / bare Load + Sign + Flush',
      at('sign16', 'nodeApi') / at('loadSignFlush', 'bare'),
      '×',
      atMost(1.2),
    );
    if (pure) {
      // Signatures minus the time of their own TPM, measured by a clock at its socket.
      const rest = (contender) => at('sign, all but the TPM', contender) - pure.verify.median;
      row('all but TPM and verification, a signature', rest('nodeApiClocked'), 'µs', atMost(40));
      row('… on one core', rest('nodeApiClockedOneCore'), 'µs');
    }
    const refusal = at('refused, now and then', 'appServer');
    row('app-server, a refusal, serial', refusal, 'µs', atMost(90));
    row('… for half a second on end', at('refused', 'appServer'), 'µs');
  }
  if (pure) {
    const bytes = pure['decode + rules + signed bytes'].median;
    row('decode + rules + signed bytes', bytes, 'µs', atMost(6));
  }
  if (flight) {
    row('app-server, refusals, 32 in flight', flight.refusedPerSecond, '/s', atLeast(25_000));
    const serial = flight.depths[1]['signatures/s'];
    for (const depth of [64, 1024]) {
      const at = flight.depths[depth];
      row(`${depth} in flight / serial rate`, at['signatures/s'] / serial, '×', atLeast(0.95));
      row(`${depth} in flight, event loop p99`, at['loop p99, ms'], 'ms', below(2));
    }
    const grown = median(flight.rssMiB.slice(-3)) - median(flight.rssMiB.slice(0, 3));
    row('memory, the last three rounds over the first three', grown, 'MiB', atMost(4));
  }
  if (start) {
    row('require', start['require, ms'].median, 'ms', atMost(6));
    row('require', start['require, MiB RSS'].median, 'MiB', atMost(3));
    const first = start['first signature after that, ms'].median;
    row('first signature of a process', first, 'ms', atMost(12));
    row('addon, stripped', start['addon, stripped, MiB'].median, 'MiB', atMost(4.5));
  }
  if (verify) {
    const { oneAtATime, manyAtOnce } = verify;
    const bare = oneAtATime.bare.median;
    row(
      'proof by a key never seen / crypto.verify',
      oneAtATime.unseen.median / bare,
      '×',
      atMost(2.6),
    );
    row(
      'proof by a key seen before / crypto.verify',
      oneAtATime.seen.median / bare,
      '×',
      atMost(1.5),
    );
    for (const keys of ['seen', 'unseen']) {
      const one = manyAtOnce[`${keys}, one core`];
      const two = manyAtOnce[`${keys}, two cores`];
      row(
        `proofs/s, keys ${keys}, two cores / one`,
        two['proofs/s'] / one['proofs/s'],
        '×',
        atLeast(1.7),
      );
      row(`… event loop p99 on two cores`, two['loop p99, ms'], 'ms', below(5));
    }
  }
  return rows;
}
