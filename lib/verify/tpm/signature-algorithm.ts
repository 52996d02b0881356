/** OIDs in DER, without tag and length, in hex. */
const RSASSA_PSS = '2a864886f70d01010a'; // RFC 4055, section 3.1
const STRONG_SIGNATURES = new Set([
  '2a864886f70d01010b', // sha256WithRSAEncryption (RFC 4055, section 5)
  '2a864886f70d01010c', // sha384WithRSAEncryption
  '2a864886f70d01010d', // sha512WithRSAEncryption
  '2a8648ce3d040302', // ecdsa-with-SHA256 (RFC 5758, section 3.2)
  '2a8648ce3d040303', // ecdsa-with-SHA384
  '2a8648ce3d040304', // ecdsa-with-SHA512
]);
const STRONG_HASHES = new Set([
  '608648016503040201', // id-sha256 (RFC 4055, section 2.1)
  '608648016503040202', // id-sha384
  '608648016503040203', // id-sha512
]);

const OBJECT_IDENTIFIER = 0x06;
const SEQUENCE = 0x30;
const CONTEXT_0 = 0xa0;

/**
 * Whether a certificate is signed by RSA or ECDSA with SHA-256, SHA-384 or SHA-512, as its
 * signatureAlgorithm says (RFC 5280, section 4.1.1.2). False for every other algorithm, known or not.
 * `X509Certificate.verify` refuses a certificate whose signed part names another algorithm than this.
 *
 * @param certificate DER
 */
export function hasStrongSignature(certificate: Buffer): boolean {
  const [, signatureAlgorithm] = elementsOf(unwrap(elementsOf(certificate)[0], SEQUENCE));
  const [algorithm, parameters] = elementsOf(unwrap(signatureAlgorithm, SEQUENCE));
  const oid = hex(unwrap(algorithm, OBJECT_IDENTIFIER));
  if (oid !== RSASSA_PSS) return STRONG_SIGNATURES.has(oid);
  // RSASSA-PSS-params: hashAlgorithm is the first member, and SHA-1 where it is missing.
  const [hashAlgorithm] = elementsOf(unwrap(parameters, SEQUENCE));
  const [wrapped] = elementsOf(unwrap(hashAlgorithm, CONTEXT_0));
  const [hash] = elementsOf(unwrap(wrapped, SEQUENCE));
  return STRONG_HASHES.has(hex(unwrap(hash, OBJECT_IDENTIFIER)));
}

interface DerElement {
  tag: number;
  content: Buffer;
}

/** The content of an element of this type; empty for another one, or for none. */
function unwrap(element: DerElement | undefined, tag: number): Buffer {
  return element?.tag === tag ? element.content : Buffer.alloc(0);
}

/** The DER elements that follow each other in `bytes`, up to the first that is malformed. */
function elementsOf(bytes: Buffer): DerElement[] {
  const elements: DerElement[] = [];
  let offset = 0;
  while (offset + 2 <= bytes.length) {
    const tag = bytes.readUInt8(offset);
    let length = bytes.readUInt8(offset + 1);
    offset += 2;
    if (length > 0x80) {
      const lengthBytes = length - 0x80;
      if (lengthBytes > 2 || offset + lengthBytes > bytes.length) break;
      length = bytes.readUIntBE(offset, lengthBytes);
      offset += lengthBytes;
    } else if (length === 0x80) {
      break; // an indefinite length: BER
    }
    if (offset + length > bytes.length) break;
    elements.push({ tag, content: bytes.subarray(offset, offset + length) });
    offset += length;
  }
  return elements;
}

function hex(bytes: Buffer): string {
  return bytes.toString('hex');
}
