import {
  constants,
  createCipheriv,
  createECDH,
  createHash,
  createHmac,
  publicEncrypt,
  randomBytes,
  type RsaPublicKey,
} from 'node:crypto';

import { isBytes, readArgument } from '../arguments';
import { DeviceKeyVerificationError } from '../error';
import type { TpmHash } from './algorithms';
import {
  hasAttributes,
  OBJECT_ATTRIBUTE,
  parsePublicArea,
  publicKeyOf,
  type EccPublicArea,
  type PublicArea,
  type RsaPublicArea,
} from './public-area';
import { sizedBuffer } from './reader';

/** What TPM2_ActivateCredential takes. */
export interface TpmCredential {
  /** TPM2B_ID_OBJECT. */
  credentialBlob: Buffer;
  /** TPM2B_ENCRYPTED_SECRET. */
  encryptedSecret: Buffer;
}

/**
 * TPM2_MakeCredential for a marshalled endorsement key, for backends with an exchange of their own.
 *
 * @param credential.endorsementKeyPublicArea TPMT_PUBLIC
 * @param credential.objectName the name of the attestation key: its hash algorithm and digest
 * @throws DeviceKeyVerificationError `attestation_malformed` or `endorsement_key_unacceptable`
 * @throws TypeError for members that are no bytes, and for a secret that is too long
 */
export function makeTpmCredential(credential: {
  endorsementKeyPublicArea: Uint8Array;
  objectName: Uint8Array;
  secret: Uint8Array;
}): TpmCredential {
  const { endorsementKeyPublicArea, objectName, secret } = readArgument(credential, 'credential');
  if (!isBytes(endorsementKeyPublicArea) || !isBytes(objectName) || !isBytes(secret)) {
    throw new TypeError('endorsementKeyPublicArea, objectName and secret must be bytes');
  }
  const area = parsePublicArea(Buffer.from(endorsementKeyPublicArea), 'endorsementKeyPublicArea');
  return makeCredential(area, Buffer.from(objectName), secret);
}

/**
 * Encrypts `secret` so that one TPM alone can decrypt it, the one that has `endorsementKey`, and only
 * while it has an object of the name `objectName` loaded: TPM2_MakeCredential in software (TPM 2.0 Part 1,
 * section 24 and annexes B.10 and C.6).
 *
 * @param secret at most as long as the digest of the endorsement key's name algorithm
 * @throws DeviceKeyVerificationError `endorsement_key_unacceptable` when the key is not a restricted
 *   decryption key that never leaves its TPM
 */
export function makeCredential(
  endorsementKey: PublicArea,
  objectName: Buffer,
  secret: Uint8Array,
): TpmCredential {
  const { fixedTPM, fixedParent, sensitiveDataOrigin, restricted, decrypt, sign } =
    OBJECT_ATTRIBUTE;
  const hash = endorsementKey.nameHash;
  const keyBits = endorsementKey.symmetricKeyBits;
  if (
    keyBits === null ||
    !hasAttributes(
      endorsementKey,
      fixedTPM | fixedParent | sensitiveDataOrigin | restricted | decrypt,
      sign,
    )
  ) {
    throw new DeviceKeyVerificationError(
      'endorsement_key_unacceptable',
      'the endorsement key must be a restricted decryption key with fixedTPM, fixedParent and sensitiveDataOrigin',
    );
  }
  if (secret.length > hash.bytes) {
    throw new TypeError(`secret must have at most ${hash.bytes} bytes`);
  }
  const { seed, encryptedSecret } =
    endorsementKey.type === 'ecc' ? eccSeed(endorsementKey) : rsaSeed(endorsementKey);

  const symmetricKey = kdfa(hash, seed, 'STORAGE', objectName, keyBits);
  const cipher = createCipheriv(`aes-${keyBits}-cfb`, symmetricKey, Buffer.alloc(16));
  const encryptedIdentity = Buffer.concat([cipher.update(sizedBuffer(secret)), cipher.final()]);
  const hmacKey = kdfa(hash, seed, 'INTEGRITY', Buffer.alloc(0), hash.bytes * 8);
  const integrity = createHmac(hash.name, hmacKey)
    .update(encryptedIdentity)
    .update(objectName)
    .digest();
  return {
    credentialBlob: sizedBuffer(Buffer.concat([sizedBuffer(integrity), encryptedIdentity])),
    encryptedSecret: sizedBuffer(encryptedSecret),
  };
}

interface Seed {
  seed: Buffer;
  encryptedSecret: Buffer;
}

/** TPM 2.0 Part 1, annex B.10.4: a random seed under OAEP with the label "IDENTITY". */
function rsaSeed(key: RsaPublicArea): Seed {
  const publicKey = publicKeyOf(key);
  if (!publicKey) throw noKey();
  const seed = randomBytes(key.nameHash.bytes);
  // Without a prototype: polluted ones must add no option.
  const oaep = {
    __proto__: null,
    key: publicKey,
    padding: constants.RSA_PKCS1_OAEP_PADDING,
    oaepHash: key.nameHash.name,
    // The label's terminating zero is part of it.
    oaepLabel: Buffer.from('IDENTITY\0'),
  } as RsaPublicKey;
  try {
    return { seed, encryptedSecret: publicEncrypt(oaep, seed) };
  } catch {
    throw noKey(); // OpenSSL imports an even modulus, and only fails when it computes with it.
  }
}

/** TPM 2.0 Part 1, annex C.6.4: one-pass ECDH with an ephemeral key, then KDFe. */
function eccSeed(key: EccPublicArea): Seed {
  const { openssl, coordinateBytes } = key.curve;
  const ephemeral = createECDH(openssl);
  const point = ephemeral.generateKeys();
  const x = point.subarray(1, 1 + coordinateBytes);
  const y = point.subarray(1 + coordinateBytes);
  let shared: Buffer;
  try {
    shared = ephemeral.computeSecret(Buffer.concat([Buffer.of(4), key.x, key.y]));
  } catch {
    throw noKey();
  }
  return {
    seed: kdfe(key.nameHash, shared, 'IDENTITY', x, key.x, key.nameHash.bytes * 8),
    encryptedSecret: Buffer.concat([sizedBuffer(x), sizedBuffer(y)]),
  };
}

function noKey(): DeviceKeyVerificationError {
  return new DeviceKeyVerificationError(
    'endorsement_key_unacceptable',
    'the endorsement key must be a valid RSA key or point of its curve',
  );
}

/** KDFa (TPM 2.0 Part 1, section 11.4.10.2) with an empty contextV: HMAC in counter mode, SP 800-108. */
function kdfa(hash: TpmHash, key: Buffer, label: string, contextU: Buffer, bits: number): Buffer {
  return inBlocks(hash, bits, (counter) =>
    createHmac(hash.name, key)
      .update(uint32(counter))
      .update(`${label}\0`)
      .update(contextU)
      .update(uint32(bits))
      .digest(),
  );
}

/** KDFe (TPM 2.0 Part 1, section 11.4.10.3): the concatenation KDF of SP 800-56A. */
function kdfe(
  hash: TpmHash,
  shared: Buffer,
  use: string,
  partyU: Buffer,
  partyV: Buffer,
  bits: number,
): Buffer {
  return inBlocks(hash, bits, (counter) =>
    createHash(hash.name)
      .update(uint32(counter))
      .update(shared)
      .update(`${use}\0`)
      .update(partyU)
      .update(partyV)
      .digest(),
  );
}

function inBlocks(hash: TpmHash, bits: number, block: (counter: number) => Buffer): Buffer {
  const count = Math.ceil(bits / 8 / hash.bytes);
  const blocks = Array.from({ length: count }, (_, index) => block(index + 1));
  return Buffer.concat(blocks).subarray(0, bits / 8);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
