// Proofs that every verifier must refuse. Each differs in one respect from a valid proof for POST
// HTU with TOKEN and the nonce "nonce-1".
import { base64Url, digestOf, DpopSoftwareKey } from './dpop-proofs';

export const NOW = 1_800_000_000;
export const HTU = 'https://server.example.com/token';
export const TOKEN = 'token-1';

export function goodClaims(now = NOW, htu = HTU): Record<string, unknown> {
  return { jti: 'jti-1', htm: 'POST', htu, iat: now };
}

export interface BrokenProof {
  name: string;
  proof: string;
  // The code of verifyDpopProof's error.
  code: string;
}

export function brokenProofs(key: DpopSoftwareKey, now = NOW, htu = HTU, token = TOKEN) {
  const good = { ...goodClaims(now, htu), ath: digestOf(token), nonce: 'nonce-1' };
  const broken: BrokenProof[] = [];
  const add = (code: string, name: string, proof: string) => broken.push({ name, proof, code });
  const header = (code: string, name: string, change: object) => {
    add(code, name, key.proof(good, { ...key.header, ...change }));
  };
  const jwk = (name: string, change: object) => {
    header('dpop_key_unacceptable', name, { jwk: { ...key.jwk, ...change } });
  };
  const claims = (code: string, name: string, change: object) => {
    add(code, name, key.proof({ ...good, ...change }));
  };
  const proof = key.proof(good);
  const [head = '', body = '', signature = ''] = proof.split('.');
  const other = new DpopSoftwareKey();

  const malformed = 'dpop_proof_malformed';
  add(malformed, 'no proof', '');
  add(malformed, 'two parts', `${head}.${body}`);
  add(malformed, 'four parts', `${proof}.${signature}`);
  add(malformed, 'a header that is no base64url', `*${proof}`);
  add(malformed, 'a header that is no JSON', key.sign(`${base64Url('{')}.${body}`));
  add(malformed, 'a header that is an array', key.sign(`${base64Url('[]')}.${body}`));
  add(malformed, 'claims that are no JSON', key.sign(`${head}.${base64Url('jti')}`));
  add(malformed, 'claims that are a string', key.sign(`${head}.${base64Url('"jti"')}`));

  const unacceptable = 'dpop_header_unacceptable';
  header(unacceptable, 'another typ', { typ: 'JWT' });
  header(unacceptable, 'no typ', { typ: undefined });
  header(unacceptable, 'alg none', { alg: 'none' });
  header(unacceptable, 'alg none in other letters', { alg: 'nOnE' });
  header(unacceptable, 'a symmetric alg', { alg: 'HS256' });
  header(unacceptable, 'an alg of another curve', { alg: 'ES384' });
  header(unacceptable, 'an alg of another kind of key', { alg: 'RS256' });
  header(unacceptable, 'no alg', { alg: undefined });
  header(unacceptable, 'a critical extension', { crit: ['x'], x: 1 });
  header(unacceptable, 'no key', { jwk: undefined });
  header('dpop_key_unacceptable', 'a private key', { jwk: key.privateJwk });
  header('dpop_key_unacceptable', 'a symmetric key', {
    jwk: { kty: 'oct', k: base64Url('secret') },
  });
  header('dpop_key_unacceptable', 'a key of another curve', {
    jwk: new DpopSoftwareKey('P-384').jwk,
  });
  header('dpop_key_unacceptable', 'a key of RSA', {
    jwk: { kty: 'RSA', e: 'AQAB', n: base64Url(Buffer.alloc(256, 0xff)) },
  });
  jwk('a key without y', { y: undefined });
  jwk('a key that is no point of the curve', { y: key.jwk.x });

  const unsigned = 'dpop_signature_mismatch';
  add(unsigned, 'no signature', `${head}.${body}.`);
  add(unsigned, "another key's signature", other.proof(good, key.header));
  add(unsigned, 'a signature in DER', key.sign(`${head}.${body}`, 'der'));
  add(unsigned, 'a signature of zeros', `${head}.${body}.${base64Url(Buffer.alloc(64))}`);
  add(
    unsigned,
    'claims that were changed',
    `${head}.${base64Url(JSON.stringify({ ...good, x: 1 }))}.${signature}`,
  );
  add(unsigned, 'half a signature', `${head}.${body}.${signature.slice(0, 44)}`);

  const claimless = 'dpop_claims_malformed';
  claims(claimless, 'no jti', { jti: undefined });
  claims(claimless, 'a jti that is a number', { jti: 1 });
  claims(claimless, 'no htm', { htm: undefined });
  claims(claimless, 'no htu', { htu: undefined });
  claims(claimless, 'no iat', { iat: undefined });
  claims(claimless, 'an iat that is a string', { iat: String(now) });

  claims('dpop_htm_mismatch', 'another method', { htm: 'GET' });
  claims('dpop_htu_mismatch', 'another path', { htu: `${htu}/x` });
  claims('dpop_htu_mismatch', 'another host', { htu: 'https://other.example/token' });
  claims('dpop_htu_mismatch', 'no URL', { htu: 'token' });
  claims('dpop_iat_out_of_window', 'a time 302 s ago', { iat: now - 302 });
  claims('dpop_iat_out_of_window', 'a time 302 s ahead', { iat: now + 302 });
  claims('dpop_nonce_mismatch', 'no nonce', { nonce: undefined });
  claims('dpop_nonce_mismatch', 'another nonce', { nonce: 'nonce-2' });
  claims('dpop_ath_mismatch', 'no ath', { ath: undefined });
  claims('dpop_ath_mismatch', "another token's ath", { ath: digestOf('token-2') });
  claims('dpop_ath_mismatch', 'an ath with padding', { ath: `${digestOf(token)}=` });
  add('dpop_key_mismatch', 'a key that the token is not bound to', other.proof(good));
  return broken;
}
