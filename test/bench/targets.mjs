// What the figures are measured against: ratios within one run.

export function targets({ operations, pure, flight, start }) {
  const at = (operation, contender) => operations[operation]?.[contender]?.median ?? NaN;
  const rows = [];
  const row = (what, value, comparison, limit, unit = '×') => {
    const holds = comparison === '≤' ? value <= limit : value >= limit;
    rows.push({
      what,
      measured: `${Number.isNaN(value) ? '–' : Math.round(value * 100) / 100} ${unit}`,
      target: `${comparison} ${limit} ${unit}`,
      holds: Number.isNaN(value) ? 'not measured' : holds ? 'yes' : 'no',
    });
  };
  const sign = at('sign', 'nodeApi');
  const create = at('create', 'nodeApi');
  row('sign / bare TPM2_Sign', sign / at('sign', 'bare'), '≤', 1.35);
  row('create / bare Create + Load', create / at('create', 'bare'), '≤', 1.5);
  row('create / bare salted Create + Load', create / at('createSalted', 'bare'), '≤', 1.5);
  row("tpm2-tools' sign / ours", at('sign', 'tpm2Tools') / sign, '≥', 60);
  row("tpm2-tools' create / ours", at('create', 'tpm2Tools') / create, '≥', 15);
  row("tpm2-pkcs11's sign / ours", at('sign', 'tpm2Pkcs11') / sign, '≥', 5);
  row(
    '16 keys in turn / bare Load + Sign + Flush',
    at('sign16', 'nodeApi') / at('loadSignFlush', 'bare'),
    '≤',
    1.2,
  );
  row(
    'all but TPM and verification',
    sign - at('sign', 'bare') - pure.Verify.median,
    '≤',
    40,
    'µs',
  );
  row('decode + rules + signed bytes', pure.DecodeRulesSignedBytes.median, '≤', 6, 'µs');
  row(
    'app-server, refused, 32 in flight',
    flight['app-server refused/s, 32 in flight'],
    '≥',
    25000,
    '/s',
  );
  row('app-server, refused, serial', at('refused', 'appServer'), '≤', 90, 'µs');
  for (const depth of [64, 1024]) {
    const rate = flight[`signatures/s, ${depth} in flight`];
    row(`${depth} in flight / serial rate`, rate / flight['signatures/s, 1 in flight'], '≥', 0.95);
    row(
      `event loop p99, ${depth} in flight`,
      flight[`event loop p99 ms, ${depth} in flight`],
      '≤',
      2,
      'ms',
    );
  }
  row('require', start['require, ms'], '≤', 6, 'ms');
  row('require', start['require, MiB RSS'], '≤', 3, 'MiB');
  row('first signature', start['first signature after that, ms'], '≤', 12, 'ms');
  row('addon', start['addon, stripped, MiB'], '≤', 4.5, 'MiB');
  return rows;
}
