import type { DeviceKeySignPayload } from '../../types/v2';
import { toJson } from '../own';
import {
  PAYLOADS,
  SIGNED_BYTES_DOMAIN,
  type MemberKind,
  type PayloadType,
} from '../protocol/payload-types';
import { DeviceKeyVerificationError } from './error';

/**
 * Parses signed bytes, which must be of the payload type `type` and in canonical form: UTF-8 JSON of
 * `{"domain":…,"payload":{…}}`, keys sorted, no white space, only the escapes that JSON requires, no
 * lone surrogates, all members of the type and no other.
 *
 * With only one form, two parsers cannot read two statements from the same bytes (with repeated keys, for
 * example), and a statement has only one text.
 */
export function parseSignedPayload(
  signedPayload: Uint8Array,
  type: PayloadType,
): DeviceKeySignPayload {
  const text = decodeUtf8(signedPayload);
  const envelope = parseJson(text);
  if (!isObject(envelope)) throw malformed('must be an object');
  requireMembers(envelope, ['domain', 'payload']);
  if (envelope.domain !== SIGNED_BYTES_DOMAIN) {
    throw new DeviceKeyVerificationError(
      'domain_mismatch',
      `domain must be ${SIGNED_BYTES_DOMAIN}`,
    );
  }
  const payload = envelope.payload;
  if (!isObject(payload)) throw malformed('must hold payload as an object');
  // Before the members, because the type decides which ones are required.
  if (payload.type !== type) {
    throw new DeviceKeyVerificationError('type_mismatch', `payload type must be ${type}`);
  }
  const { members } = PAYLOADS[type];
  requireMembers(payload, Object.keys(members));
  for (const [member, kind] of Object.entries(members)) {
    requireKind(member, payload[member], kind);
  }
  if (!inOrder(envelope) || !inOrder(payload) || toJson(envelope, 'payload') !== text) {
    throw new DeviceKeyVerificationError(
      'payload_not_canonical',
      'signedPayloadBase64 must be in canonical form: sorted keys, each once, no white space, only the escapes that JSON demands',
    );
  }
  return payload as unknown as DeviceKeySignPayload;
}

function requireKind(member: string, value: unknown, kind: MemberKind): void {
  switch (kind) {
    case 'string':
      if (typeof value !== 'string') throw malformed(`must hold ${member} as a string`);
      requireWellFormed(value);
      return;
    case 'strings':
      if (!Array.isArray(value) || !value.every((item) => typeof item === 'string')) {
        throw malformed(`must hold ${member} as an array of strings`);
      }
      value.forEach(requireWellFormed);
      return;
    case 'seconds':
      // An int64 beyond 2^53 would be rounded here; no valid expiry is so far away.
      if (!Number.isSafeInteger(value)) {
        throw malformed(`must hold ${member} as a whole number of Unix seconds`);
      }
  }
}

/**
 * Valid UTF-8 has no lone surrogates, but an escape can contain one, and JSON.stringify would write the
 * same escape.
 */
function requireWellFormed(value: string): void {
  if (/\p{Surrogate}/u.test(value)) throw malformed('must not hold lone surrogates');
}

/** Whether the keys are sorted. JSON.parse and JSON.stringify keep the order of the text. */
function inOrder(object: Record<string, unknown>): boolean {
  let previous = '';
  return Object.keys(object).every((key) => {
    const follows = previous < key;
    previous = key;
    return follows;
  });
}

// ignoreBOM keeps a byte order mark in the text, where JSON refuses it.
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return UTF8.decode(bytes);
  } catch {
    throw new DeviceKeyVerificationError(
      'payload_not_utf8',
      'signedPayloadBase64 must hold UTF-8 text',
    );
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // No cause, because its message quotes the text.
    throw new DeviceKeyVerificationError('payload_not_json', 'signedPayloadBase64 must hold JSON');
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function requireMembers(object: Record<string, unknown>, members: readonly string[]): void {
  const absent = members.find((member) => !Object.hasOwn(object, member));
  if (absent !== undefined) throw malformed(`must have the member ${absent}`);
  if (Object.keys(object).length !== members.length) {
    throw malformed(`must have no members but ${members.join(', ')}`);
  }
}

function malformed(what: string): DeviceKeyVerificationError {
  return new DeviceKeyVerificationError('payload_malformed', `signedPayloadBase64 ${what}`);
}
