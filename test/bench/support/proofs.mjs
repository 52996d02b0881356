// Valid proofs of software keys, and the same statements for the compared libraries.
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';

import { payload } from './payload.mjs';

export const acceptAll = { nonces: { consume: async () => true } };

/** A new key, its proof, and the backend's expectations of the proof. */
export function newProof() {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const statement = payload();
  const sorted = Object.fromEntries(Object.entries(statement).sort(([a], [b]) => (a < b ? -1 : 1)));
  const text = JSON.stringify({ domain: 'codex-device-key-sign-payload/v1', payload: sorted });
  const signedPayload = Buffer.from(text);
  const der = sign('sha256', signedPayload, privateKey);
  const spki = publicKey.export({ format: 'der', type: 'spki' });
  return {
    publicKey,
    privateKey,
    statement,
    signedPayload,
    der,
    proof: {
      algorithm: 'ecdsa_p256_sha256',
      signatureDerBase64: der.toString('base64'),
      signedPayloadBase64: signedPayload.toString('base64'),
    },
    expected: { publicKeySpkiDerBase64: spki.toString('base64'), ...statement },
  };
}

const sha256 = (bytes) => createHash('sha256').update(bytes).digest();

/** The input of `@simplewebauthn/server`: an assertion by the key, and its COSE public key. */
export function newAssertion({ publicKey, privateKey }) {
  const id = randomBytes(32).toString('base64url');
  const challenge = randomBytes(32).toString('base64url');
  const origin = 'https://chatgpt.com';
  const clientData = Buffer.from(
    JSON.stringify({ type: 'webauthn.get', challenge, origin, crossOrigin: false }),
  );
  const flags = 0x05; // user present and verified
  const authenticatorData = Buffer.concat([
    sha256('chatgpt.com'),
    Buffer.of(flags),
    Buffer.alloc(4), // no signature counter
  ]);
  const signature = sign(
    'sha256',
    Buffer.concat([authenticatorData, sha256(clientData)]),
    privateKey,
  );
  const { x, y } = publicKey.export({ format: 'jwk' });
  return {
    response: {
      id,
      rawId: id,
      type: 'public-key',
      clientExtensionResults: {},
      response: {
        authenticatorData: authenticatorData.toString('base64url'),
        clientDataJSON: clientData.toString('base64url'),
        signature: signature.toString('base64url'),
      },
    },
    expectedChallenge: challenge,
    expectedOrigin: origin,
    expectedRPID: 'chatgpt.com',
    credential: {
      id,
      counter: 0,
      // COSE_Key (RFC 9053 §7.1): { 1: EC2, 3: ES256, -1: P-256, -2: x, -3: y }
      publicKey: Uint8Array.from(
        Buffer.concat([
          Buffer.from('a5010203262001215820', 'hex'),
          Buffer.from(x, 'base64url'),
          Buffer.from('225820', 'hex'),
          Buffer.from(y, 'base64url'),
        ]),
      ),
    },
  };
}
