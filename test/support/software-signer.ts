import { generateKeyPairSync, sign } from 'node:crypto';

import type { DeviceKeySignResponse } from '../../types/v2';

/** A key in memory, for tests of the verifier: what keeps a key safe is no concern of its. */
export class SoftwareSigner {
  readonly #pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });

  readonly spki = this.#pair.publicKey.export({ format: 'der', type: 'spki' });
  readonly publicKeySpkiDerBase64 = this.spki.toString('base64');

  sign(signedPayload: Uint8Array | string): DeviceKeySignResponse {
    const bytes = Buffer.from(signedPayload);
    return {
      algorithm: 'ecdsa_p256_sha256',
      signatureDerBase64: sign('sha256', bytes, this.#pair.privateKey).toString('base64'),
      signedPayloadBase64: bytes.toString('base64'),
    };
  }

  signPayload(payload: object): DeviceKeySignResponse {
    return this.sign(canonicalText(payload));
  }
}

/** The signed text of a payload that has just the members of its type. */
export function canonicalText(payload: object): string {
  const sorted = Object.fromEntries(Object.entries(payload).sort(([a], [b]) => (a < b ? -1 : 1)));
  return JSON.stringify({ domain: 'codex-device-key-sign-payload/v1', payload: sorted });
}
