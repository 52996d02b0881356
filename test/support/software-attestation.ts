// A software attestation: everything that verifyTpmKeyAttestation can check is valid, but there is
// no TPM.
// Only the credential exchange refuses it.
import {
  createHash,
  generateKeyPairSync,
  sign,
  type KeyObject,
  type SignKeyObjectInput,
} from 'node:crypto';

import type { DeviceKeyAttestation } from '../../lib/index';

const deviceKeyAttributes = 0x00040072; // fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth, sign
const attestationKeyAttributes = 0x00050072; // and restricted
const endorsementKeyAttributes = 0x000300b2; // restricted and decrypt instead of sign; adminWithPolicy

const schemes = {
  none: '0010' + '0010',
  ecdsaSha256: '0010' + '0018' + '000b',
  aes128Cfb: '0006' + '0080' + '0043' + '0010',
};

/** A device key, an attestation key and an endorsement key, none of them in a TPM. */
export class SoftwareKeys {
  private readonly deviceKey = newKey();
  private readonly attestationKey = newKey();
  private readonly endorsementKey = newKey();

  readonly publicKeySpkiDerBase64 = this.deviceKey.publicKey
    .export({ format: 'der', type: 'spki' })
    .toString('base64');

  /** @param challenge in base64url */
  attest(challenge: string): DeviceKeyAttestation {
    const keyPublicArea = publicArea(this.deviceKey, deviceKeyAttributes, schemes.none);
    const digest = createHash('sha256').update(keyPublicArea).digest();
    const name = Buffer.concat([Buffer.from('000b', 'hex'), digest]);
    const attest = Buffer.concat([
      Buffer.from('ff544347' + '8017', 'hex'), // TPM_GENERATED_VALUE, TPM_ST_ATTEST_CERTIFY
      sized(name), // qualifiedSigner: nobody can check it
      sized(Buffer.from(challenge, 'base64url')),
      Buffer.from('00'.repeat(16) + '01' + '00'.repeat(8), 'hex'), // clockInfo, firmwareVersion
      sized(name),
      sized(name),
    ]);
    const base64 = (bytes: Buffer) => bytes.toString('base64');
    return {
      format: 'tpm2',
      keyId: `dk_tpm_${Buffer.alloc(32).toString('base64url')}`,
      attest: base64(attest),
      signature: base64(this.sign(attest)),
      keyPublicArea: base64(keyPublicArea),
      attestationKeyPublicArea: base64(
        publicArea(this.attestationKey, attestationKeyAttributes, schemes.ecdsaSha256),
      ),
      endorsementKeys: [
        {
          publicArea: base64(
            publicArea(this.endorsementKey, endorsementKeyAttributes, schemes.aes128Cfb),
          ),
          certificate: null,
        },
      ],
    };
  }

  /** TPMT_SIGNATURE of the attestation key. */
  private sign(attest: Buffer): Buffer {
    const key = this.attestationKey.privateKey;
    // Without a prototype: the tests of prototype pollution use this too.
    const options = { __proto__: null, key, dsaEncoding: 'ieee-p1363' } as SignKeyObjectInput;
    const rs = sign('sha256', attest, options);
    return Buffer.concat([
      Buffer.from('0018' + '000b', 'hex'), // ECDSA with SHA-256
      sized(rs.subarray(0, 32)),
      sized(rs.subarray(32)),
    ]);
  }
}

interface KeyPair {
  publicKey: KeyObject;
  privateKey: KeyObject;
}

function newKey(): KeyPair {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

/** TPMT_PUBLIC of a P-256 key (TPM 2.0 Part 2, section 12.2.4). Its symmetric algorithm and its scheme are hex. */
function publicArea(
  { publicKey }: KeyPair,
  attributes: number,
  symmetricAndScheme: string,
): Buffer {
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' });
  return Buffer.concat([
    Buffer.from('0023' + '000b' + attributes.toString(16).padStart(8, '0') + '0000', 'hex'),
    Buffer.from(symmetricAndScheme + '0003' + '0010', 'hex'), // P-256, no key derivation
    sized(Buffer.from(x, 'base64url')),
    sized(Buffer.from(y, 'base64url')),
  ]);
}

function sized(bytes: Buffer): Buffer {
  const size = Buffer.alloc(2);
  size.writeUInt16BE(bytes.length);
  return Buffer.concat([size, bytes]);
}
