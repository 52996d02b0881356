// Verification of proofs in a backend: one at a time compared with other libraries, and many at
// once on one core and on two.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setImmediate as turn } from 'node:timers/promises';
import { createPublicKey, verify as bareVerify } from 'node:crypto';
import path from 'node:path';

import { verifyAuthenticationResponse } from '@simplewebauthn/server';
import { SignJWT, importJWK, jwtVerify } from 'jose';
import { verifyDeviceKeyProof } from 'node-device-key/verify';

import { root } from '../support/paths.mjs';
import { acceptAll, newAssertion, newProof } from '../support/proofs.mjs';
import { median, rounded, summary } from '../support/statistics.mjs';

const inFlight = 64;

export const labels = {
  bare: 'crypto.verify, key prepared',
  bareWithImport: 'crypto.verify, key from SPKI',
  seen: 'verifyDeviceKeyProof, key seen before',
  unseen: 'verifyDeviceKeyProof, key never seen',
  jose: "jose's jwtVerify, key prepared",
  joseWithImport: "jose's jwtVerify, key from JWK",
  simpleWebAuthn: '@simplewebauthn/server',
};

async function contenders() {
  const one = newProof();
  const { publicKey, privateKey, signedPayload, der, statement } = one;
  const jwt = await new SignJWT(statement)
    .setProtectedHeader({ alg: 'ES256' })
    .setAudience(statement.targetOrigin)
    .setExpirationTime(statement.tokenExpiresAt)
    .sign(privateKey);
  const jwk = publicKey.export({ format: 'jwk' });
  const spki = publicKey.export({ format: 'der', type: 'spki' });
  const claims = { audience: statement.targetOrigin, algorithms: ['ES256'] };
  const assertion = newAssertion(one);
  const requireVerified = ({ verified }) => {
    if (!verified) throw new Error('the assertion was refused');
  };
  const unseen = Array.from({ length: 10_500 }, newProof);
  let next = 0;
  return {
    bare: () => bareVerify('sha256', signedPayload, publicKey, der),
    bareWithImport: () =>
      bareVerify(
        'sha256',
        signedPayload,
        createPublicKey({ key: spki, format: 'der', type: 'spki' }),
        der,
      ),
    seen: () => verifyDeviceKeyProof(one.proof, one.expected, acceptAll),
    unseen: () => {
      const { proof, expected } = unseen[next++ % unseen.length];
      return verifyDeviceKeyProof(proof, expected, acceptAll);
    },
    jose: () => jwtVerify(jwt, publicKey, claims),
    joseWithImport: async () => jwtVerify(jwt, await importJWK(jwk, 'ES256'), claims),
    simpleWebAuthn: async () => requireVerified(await verifyAuthenticationResponse(assertion)),
  };
}

/**
 * CPU nanoseconds of `count` calls, each in a separate turn of the event loop, like requests. CPU
 * time excludes the time in which other programs use the core.
 */
async function time(operation, count) {
  const times = [];
  for (let i = 0; i < count; i += 1) {
    await turn();
    const start = process.cpuUsage();
    await operation();
    const { user, system } = process.cpuUsage(start);
    times.push(1000 * (user + system));
  }
  return times;
}

async function oneAtATime(quick) {
  const operations = await contenders();
  const times = Object.fromEntries(Object.keys(operations).map((name) => [name, []]));
  const rounds = quick ? 30 : 300;
  for (let round = 0; round < rounds; round += 1) {
    for (const [name, operation] of Object.entries(operations)) {
      const round = await time(operation, 20);
      times[name].push(...round);
    }
  }
  // The first tenth is a warm-up.
  return Object.fromEntries(
    Object.entries(times).map(([name, all]) => [name, summary(all.slice(all.length / 10))]),
  );
}

/** A process of test/bench/support/verify-load.mjs on these cores. */
async function startLoad(cores) {
  const script = path.join(root, 'test/bench/support/verify-load.mjs');
  const child = spawn('taskset', ['-c', cores, process.execPath, script], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error('the process under load has ended');
    return value;
  };
  await answer(); // ready
  return {
    async run(keys, ms) {
      child.stdin.write(`${keys} ${inFlight} ${ms}\n`);
      return JSON.parse(await answer());
    },
    async stop() {
      const exited = once(child, 'exit');
      child.stdin.end();
      await exited;
    },
  };
}

async function manyAtOnce(quick) {
  const loads = { 'one core': await startLoad('0'), 'two cores': await startLoad('0,1') };
  try {
    const rows = {};
    for (let round = 0; round < (quick ? 3 : 15); round += 1) {
      for (const keys of ['seen', 'unseen']) {
        for (const [cores, load] of Object.entries(loads)) {
          (rows[`${keys}, ${cores}`] ??= []).push(await load.run(keys, quick ? 300 : 1000));
        }
      }
    }
    return Object.fromEntries(
      Object.entries(rows).map(([name, measured]) => [
        name,
        {
          'proofs/s': Math.round(median(measured.map(({ perSecond }) => perSecond))),
          'loop p99, ms': rounded(median(measured.map(({ loopP99 }) => loopP99))),
        },
      ]),
    );
  } finally {
    for (const load of Object.values(loads)) await load.stop();
  }
}

export async function verify(_, quick) {
  return { oneAtATime: await oneAtATime(quick), manyAtOnce: await manyAtOnce(quick) };
}
