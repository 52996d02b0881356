import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

import { activateDeviceKeyAttestation, attestDeviceKey, createDeviceKey } from 'node-device-key';
import { InMemoryAttestationStateStore, TpmAttestationExchange } from 'node-device-key/verify';

import { load } from './load.mjs';
import { owner } from './payloads.mjs';

export default {
  async 'proves to a backend that a key is in a TPM'() {
    const { keyId, publicKeySpkiDerBase64 } = await createDeviceKey(owner);
    const exchange = new TpmAttestationExchange({
      states: new InMemoryAttestationStateStore(),
      trust: {
        roots: [readFileSync('tpm-maker-root.pem', 'utf8')],
        intermediates: [readFileSync('tpm-maker-intermediate.pem', 'utf8')],
      },
    });
    let proof;
    const { prove } = await load(1);
    await prove(keyId, {
      challenge: () => exchange.challenge({ publicKeySpkiDerBase64 }),
      makeCredential: (id, attestation) => exchange.makeCredential(id, attestation),
      complete: async (id, secret) => {
        proof = await exchange.complete(id, secret);
      },
    });
    assert.equal(proof.endorsement, 'chained');
    assert.equal(proof.publicKeySpkiDerBase64, publicKeySpkiDerBase64);
  },

  async 'trusts the TPMs of a maker'() {
    const { exchange } = await load(2);
    const { keyId, publicKeySpkiDerBase64 } = await createDeviceKey(owner);
    const { attestationId: id, challenge } = await exchange.challenge({ publicKeySpkiDerBase64 });
    const attestation = await attestDeviceKey({ keyId, challenge });
    const { attestationId, ...credential } = await exchange.makeCredential(id, attestation);
    const { secret } = await activateDeviceKeyAttestation({ keyId, ...credential });
    const proof = await exchange.complete(attestationId, secret);
    assert.equal(proof.endorsement, 'chained');
    assert.equal(proof.publicKeySpkiDerBase64, publicKeySpkiDerBase64);
  },
};
