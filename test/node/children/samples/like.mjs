import assert from 'node:assert/strict';

/**
 * Asserts that a JSON sample looks like a real value: the same members in the same order, strings
 * that differ only where the sample has "…", and numbers of any value. The members named in `varying`
 * may have any string; without "…" it has the length of the sample's.
 */
export function assertLike(sample, real, varying = [], at = 'the sample') {
  if (typeof sample === 'string') {
    const name = at.replace(/^.*\./, '');
    if (varying.includes(name)) {
      if (!sample.includes('…')) assert.equal(sample.length, real.length, at);
    } else {
      const parts = sample.split('…').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
      assert.match(real, new RegExp(`^${parts.join('.*')}$`, 's'), at);
    }
    return;
  }
  assert.equal(typeof sample, typeof real, at);
  if (typeof sample !== 'object') return;
  assert.deepEqual(Object.keys(sample), Object.keys(real), at);
  for (const [name, value] of Object.entries(sample)) {
    assertLike(value, real[name], varying, `${at}.${name}`);
  }
}
