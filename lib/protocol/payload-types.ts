/** The two payload types, for `node-device-key/verify` and `node-device-key/testing`. */
import type { DeviceKeySignPayload } from '../../types/v2';

/** Distinguishes signed payloads from anything else that a key could sign. */
export const SIGNED_BYTES_DOMAIN = 'codex-device-key-sign-payload/v1';

export type PayloadType = DeviceKeySignPayload['type'];

/** A `seconds` member is an integer of Unix seconds. */
export type MemberKind = 'string' | 'strings' | 'seconds';

export interface PayloadDescription {
  audience: string;
  /** The member with the id that the proof is for. */
  id: string;
  /** The member with a SHA-256 digest in base64url. */
  digest: string;
  expiry: string;
  /** Every member, in the order in which they are signed. */
  members: Record<string, MemberKind>;
}

export const PAYLOADS: Record<PayloadType, PayloadDescription> = {
  remoteControlClientConnection: {
    audience: 'remote_control_client_websocket',
    id: 'sessionId',
    digest: 'tokenSha256Base64url',
    expiry: 'tokenExpiresAt',
    members: {
      accountUserId: 'string',
      audience: 'string',
      clientId: 'string',
      nonce: 'string',
      scopes: 'strings',
      sessionId: 'string',
      targetOrigin: 'string',
      targetPath: 'string',
      tokenExpiresAt: 'seconds',
      tokenSha256Base64url: 'string',
      type: 'string',
    },
  },
  remoteControlClientEnrollment: {
    audience: 'remote_control_client_enrollment',
    id: 'challengeId',
    digest: 'deviceIdentitySha256Base64url',
    expiry: 'challengeExpiresAt',
    members: {
      accountUserId: 'string',
      audience: 'string',
      challengeExpiresAt: 'seconds',
      challengeId: 'string',
      clientId: 'string',
      deviceIdentitySha256Base64url: 'string',
      nonce: 'string',
      targetOrigin: 'string',
      targetPath: 'string',
      type: 'string',
    },
  },
};

export function isPayloadType(type: unknown): type is PayloadType {
  return typeof type === 'string' && Object.hasOwn(PAYLOADS, type);
}
