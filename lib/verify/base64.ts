/**
 * The bytes of canonical, padded base64 (RFC 4648 §4), or undefined for anything else.
 *
 * Node's decoder ignores invalid characters and accepts the URL alphabet too. So the bytes are encoded
 * again, and only the canonical text is equal to the result.
 */
export function decodeBase64(text: unknown): Buffer | undefined {
  if (typeof text !== 'string') return undefined;
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}

/** The number of bytes in canonical, unpadded base64url (RFC 4648 §5), or undefined for anything else. */
export function base64UrlByteLength(text: unknown): number | undefined {
  if (typeof text !== 'string') return undefined;
  const bytes = Buffer.from(text, 'base64url');
  return bytes.toString('base64url') === text ? bytes.length : undefined;
}
