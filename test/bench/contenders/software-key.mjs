// A software key in this process: the lower bound for any hardware.
import { createSign, generateKeyPairSync } from 'node:crypto';

import { time } from '../support/worker.mjs';

export function softwareKey() {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const operations = {
    sign: () => createSign('sha256').update('message').sign(privateKey),
    create: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  };
  return { run: (operation, count) => time(operations[operation], count) };
}
