// DPoP with real OAuth libraries and a real authorization server; the key is in a TPM.
import { execFile } from 'node:child_process';
import { generateKeyPairSync, sign } from 'node:crypto';
import path from 'node:path';
import { promisify } from 'node:util';

import { brokenProofs } from '../support/broken-dpop-proofs';
import { base64Url, digestOf, DpopSoftwareKey } from '../support/dpop-proofs';
import { TestMachine } from '../support/machine';

const child = (name: string) => path.join(__dirname, 'children', name);

let machine: TestMachine;
beforeAll(async () => {
  machine = await TestMachine.start();
});
afterAll(() => machine.stop());

interface Flow {
  types: string[];
  sub: string;
  requests: { method: string; path: string; status: number; proof: boolean }[];
}

async function flow(library: string): Promise<Flow> {
  const args = [child('dpop-flow.mjs'), library, JSON.stringify(machine.options)];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  // After oidc-provider's messages about development settings.
  return JSON.parse(stdout.slice(stdout.lastIndexOf('\n'))) as Flow;
}

const token = (status: number) => ({ method: 'POST', path: '/token', status, proof: true });
const userInfo = (status: number) => ({ method: 'GET', path: '/me', status, proof: true });
const metadata = {
  method: 'GET',
  path: '/.well-known/openid-configuration',
  status: 200,
  proof: false,
};

describe('code with PKCE and dpop_jkt, token, userinfo and refresh, with a nonce in every proof:', () => {
  test.each(['oauth4webapi', 'openid-client'])('%s through dpopFetch', async (library) => {
    const { types, sub, requests } = await flow(library);
    expect(types.map((type) => type.toLowerCase())).toEqual(['dpop', 'dpop']);
    expect(sub).toBe('user-1');
    // The token endpoint requests its nonce once; the resource is on the same origin.
    expect(requests).toEqual([metadata, token(400), token(200), userInfo(200), token(200)]);
  });

  test.each(['fetch', '@atproto/oauth-client'])(
    '%s, which meets the challenge of both endpoints',
    async (library) => {
      const { types, sub, requests } = await flow(library);
      expect([types, sub]).toEqual([['DPoP', 'DPoP'], 'user-1']);
      expect(requests).toEqual([
        ...[token(400), token(200)],
        ...[userInfo(401), userInfo(200)],
        token(200),
      ]);
    },
  );
});

// The same proofs as in verify-dpop.test.ts, except those about a nonce, which oauth4webapi leaves
// to its caller.
test('oauth4webapi, as a resource server, refuses the same proofs as verifyDpopProof', async () => {
  const issuer = 'https://as.example.com';
  const url = 'https://server.example.com/token';
  const now = Math.floor(Date.now() / 1000);
  const key = new DpopSoftwareKey();
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const input = [
    { typ: 'at+jwt', alg: 'ES256', kid: 'k' },
    {
      ...{ iss: issuer, sub: 'user-1', aud: issuer, client_id: 'cli_42', iat: now, exp: now + 600 },
      ...{ jti: 'token', cnf: { jkt: key.jkt } },
    },
  ]
    .map((part) => base64Url(JSON.stringify(part)))
    .join('.');
  const signer = { key: privateKey, dsaEncoding: 'ieee-p1363' } as const;
  const signature = sign('sha256', Buffer.from(input), signer).toString('base64url');
  const accessToken = `${input}.${signature}`;
  const jwks = { keys: [{ ...publicKey.export({ format: 'jwk' }), alg: 'ES256', kid: 'k' }] };
  const broken = brokenProofs(key, now, url, accessToken).filter(
    ({ code }) => code !== 'dpop_nonce_mismatch',
  );
  const good = { jti: 'jti-1', htm: 'POST', htu: url, iat: now, ath: digestOf(accessToken) };
  const ageing = (seconds: number) => key.proof({ ...good, iat: now - seconds });
  const proofs = [
    ...[key.proof(good), ageing(299), ageing(-299)],
    ...broken.map(({ proof }) => proof),
  ];
  const given = { accessToken, jwks, issuer, method: 'POST', url, now, proofs };

  const verifier = promisify(execFile)(process.execPath, [child('dpop-independent.mjs')]);
  verifier.child.stdin?.end(JSON.stringify(given));
  const accepted = JSON.parse((await verifier).stdout) as boolean[];

  expect(broken.length).toBeGreaterThanOrEqual(40);
  expect(accepted.slice(0, 3)).toEqual([true, true, true]);
  expect(broken.filter((_, index) => accepted[index + 3]).map(({ name }) => name)).toEqual([]);
});
