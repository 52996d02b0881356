// Attestations of keys that our own code would not make, with tpm2-tools and our own TPM2_Certify
// (tpm2_certify does not take qualifying data).
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

import type { DeviceKeyAttestation } from '../../lib/index';
import type { SoftwareTpm } from './swtpm';

const deviceKeyAttributes = 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign';
const attestationKeyAttributes = `${deviceKeyAttributes}|restricted`;
const keyHandle = 0x81010001;
const attestationKeyHandle = 0x81010002;

interface ForeignKeys {
  /** TPMA_OBJECT of the attested key, in tpm2_create's syntax. Default: that of a device key. */
  key?: string;
  /** A private key in PEM to import as the attested key; `key` is then ignored. */
  importedKeyPem?: string;
  /** TPMA_OBJECT of the attestation key. Default: that of an attestation key. */
  attestationKey?: string;
}

/** The TPM's statements about two such keys. Close the TPM's stores first. */
export async function attestForeignKey(
  tpm: SoftwareTpm,
  challenge: string,
  keys: ForeignKeys,
): Promise<Omit<DeviceKeyAttestation, 'endorsementKeys'>> {
  const directory = await mkdtemp(path.join(tmpdir(), 'dk-foreign-'));
  const file = (name: string) => path.join(directory, name);
  const persist = async (name: string, handle: number) => {
    const blob = ['-u', file(`${name}.pub`), '-r', file(`${name}.priv`)];
    await tpm.tool('tpm2_load', '-C', file('parent'), ...blob, '-c', file(`${name}.ctx`));
    await tpm.tool('tpm2_evictcontrol', '-c', file(`${name}.ctx`), `0x${handle.toString(16)}`);
    await tpm.tool('tpm2_flushcontext', '-t');
  };
  const create = async (name: string, attributes: string) => {
    // TPM2_Certify uses the scheme of the attestation key; a restricted key must have one (Part 2,
    // 12.2.3.6).
    const algorithm =
      name === 'ak' || attributes.includes('restricted') ? 'ecc:ecdsa-sha256:null' : 'ecc';
    await tpm.tool(
      'tpm2_create',
      ...['-C', file('parent'), '-G', algorithm, '-a', attributes],
      ...['-u', file(`${name}.pub`), '-r', file(`${name}.priv`)],
    );
    await tpm.tool('tpm2_flushcontext', '-t');
  };
  try {
    await tpm.tool('tpm2_createprimary', '-C', 'o', '-G', 'ecc', '-c', file('parent'));
    await tpm.tool('tpm2_flushcontext', '-t');
    if (keys.importedKeyPem === undefined) {
      await create('key', keys.key ?? deviceKeyAttributes);
    } else {
      await tpm.tool(
        'tpm2_import',
        ...['-C', file('parent'), '-G', 'ecc', '-i', keys.importedKeyPem],
        ...['-u', file('key.pub'), '-r', file('key.priv')],
      );
      await tpm.tool('tpm2_flushcontext', '-t');
    }
    await create('ak', keys.attestationKey ?? attestationKeyAttributes);
    await persist('key', keyHandle);
    await persist('ak', attestationKeyHandle);
    const { attest, signature } = await certify(tpm, Buffer.from(challenge, 'base64url'));
    return {
      format: 'tpm2',
      keyId: '',
      attest: attest.toString('base64'),
      signature: signature.toString('base64'),
      keyPublicArea: await publicArea(file('key.pub')),
      attestationKeyPublicArea: await publicArea(file('ak.pub')),
    };
  } finally {
    for (const handle of [keyHandle, attestationKeyHandle]) {
      await tpm.tool('tpm2_evictcontrol', '-c', `0x${handle.toString(16)}`).catch(() => undefined);
    }
    await rm(directory, { recursive: true });
  }
}

/** The TPMT_PUBLIC in a file that contains a TPM2B_PUBLIC. */
async function publicArea(file: string): Promise<string> {
  return (await readFile(file)).subarray(2).toString('base64');
}

/** TPM2_Certify (TPM 2.0 Part 3, section 18.2) with empty authValues. */
async function certify(
  tpm: SoftwareTpm,
  challenge: Buffer,
): Promise<{ attest: Buffer; signature: Buffer }> {
  const passwordSession = '40000009' + '0000' + '00' + '0000';
  const body = Buffer.concat([
    Buffer.from('00000148', 'hex'), // TPM_CC_Certify
    uint32(keyHandle),
    uint32(attestationKeyHandle),
    uint32(18),
    Buffer.from(passwordSession + passwordSession, 'hex'),
    sized(challenge),
    Buffer.from('0010', 'hex'), // TPM_ALG_NULL: the scheme of the attestation key
  ]);
  const response = await transmit(
    tpm,
    Buffer.concat([Buffer.from('8002', 'hex'), uint32(body.length + 6), body]),
  );
  const code = response.readUInt32BE(6);
  if (code !== 0) throw new Error(`TPM2_Certify failed with 0x${code.toString(16)}`);
  const parameters = response.subarray(14, 14 + response.readUInt32BE(10));
  const end = 2 + parameters.readUInt16BE(0);
  return { attest: parameters.subarray(2, end), signature: parameters.subarray(end) };
}

/** Sends one command and returns its response. */
async function transmit(tpm: SoftwareTpm, command: Buffer): Promise<Buffer> {
  const socket = net.connect(tpm.socketPath);
  try {
    socket.write(command);
    let response = Buffer.alloc(0);
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      response = Buffer.concat([response, chunk]);
      if (response.length >= 6 && response.length >= response.readUInt32BE(2)) break;
    }
    return response;
  } finally {
    socket.destroy();
  }
}

function sized(bytes: Buffer): Buffer {
  const size = Buffer.alloc(2);
  size.writeUInt16BE(bytes.length);
  return Buffer.concat([size, bytes]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
