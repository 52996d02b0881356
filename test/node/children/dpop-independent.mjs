// The decisions of oauth4webapi, as a resource server whose clock shows `now`, about DPoP proofs.
// Reads {accessToken, jwks, issuer, method, url, now, proofs} from standard input, and prints for
// each proof whether it is accepted.
import { text } from 'node:stream/consumers';

import * as oauth from 'oauth4webapi';

const { accessToken, jwks, issuer, method, url, now, proofs } = JSON.parse(
  await text(process.stdin),
);
const as = { issuer, jwks_uri: `${issuer}/jwks` };
const customFetch = () => Promise.resolve(Response.json(jwks));
const accepted = [];
for (const proof of proofs) {
  try {
    const headers = { authorization: `DPoP ${accessToken}`, dpop: proof };
    const request = new Request(url, { method, headers });
    const clockSkew = now - Math.floor(Date.now() / 1000);
    const options = { [oauth.customFetch]: customFetch, [oauth.clockSkew]: clockSkew };
    await oauth.validateJwtAccessToken(as, request, issuer, options);
    accepted.push(true);
  } catch {
    accepted.push(false);
  }
}
process.stdout.write(JSON.stringify(accepted));
