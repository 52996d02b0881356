/** The rules for the values of params, as in native/protocol/rules.cc. Callers pass the time. */
import type { DeviceKeyCreateParams, DeviceKeySignPayload } from '../../types/v2';
import { DeviceKeyError } from '../errors';
import type { TargetPolicy } from '../store';
import { base64UrlByteLength } from '../verify/base64';
import { refusePayload } from './decode';
import { parseOrigin } from './origin';
import { PAYLOADS } from './payload-types';
import { allowsOrigin } from './target-policy';

const MIN_NONCE_BYTES = 32;
const DIGEST_BYTES = 32;
const CONNECTION_SCOPE = 'remote_control_controller_websocket';

const OWNER_MEMBERS = ['accountUserId', 'clientId'] as const;
export const OWNER_FORM = 'a string that is not empty and has no NUL';

export type Owner = Record<(typeof OWNER_MEMBERS)[number], string>;

/** @throws DeviceKeyError `invalid_params` */
export function checkCreateParams(params: DeviceKeyCreateParams): void {
  for (const member of OWNER_MEMBERS) {
    if (!isOwnerId(params[member])) {
      throw new DeviceKeyError('invalid_params', `${member}: expected ${OWNER_FORM}`);
    }
  }
}

/**
 * Every rule for a payload except its binding to a key.
 *
 * @throws DeviceKeyError `invalid_payload` naming the member.
 */
export function checkSignPayload(
  payload: DeviceKeySignPayload,
  policy: Required<TargetPolicy>,
  nowUnixSeconds: number,
): void {
  if ((base64UrlByteLength(payload.nonce) ?? 0) < MIN_NONCE_BYTES) {
    refusePayload('nonce', 'at least 32 random bytes in canonical, unpadded base64url');
  }
  for (const member of OWNER_MEMBERS) {
    if (!isOwnerId(payload[member])) refusePayload(member, OWNER_FORM);
  }
  checkOrigin(payload.targetOrigin, policy);
  const { id, digest, expiry } = PAYLOADS[payload.type];
  const members = payload as unknown as Record<string, unknown>;
  if (members[id] === '') refusePayload(id, 'a string that is not empty');
  if (base64UrlByteLength(members[digest]) !== DIGEST_BYTES) {
    refusePayload(digest, 'a SHA-256 digest (32 bytes) in canonical, unpadded base64url');
  }
  const isConnection = payload.type === 'remoteControlClientConnection';
  if (isConnection && (payload.scopes.length !== 1 || payload.scopes[0] !== CONNECTION_SCOPE)) {
    refusePayload('scopes', `exactly ["${CONNECTION_SCOPE}"]`);
  }
  const paths = isConnection ? policy.connectionPaths : policy.enrollmentPaths;
  if (!paths.includes(payload.targetPath)) {
    refusePayload('targetPath', 'a path that the target policy allows for this type of payload');
  }
  checkExpiry(expiry, members[expiry] as number, nowUnixSeconds, policy.maxLifetimeSeconds);
}

/** @throws DeviceKeyError `binding_mismatch` if the payload is for another owner than the key's. */
export function checkPayloadBinding(payload: DeviceKeySignPayload, owner: Owner): void {
  for (const member of OWNER_MEMBERS) {
    if (payload[member] !== owner[member]) {
      throw new DeviceKeyError(
        'binding_mismatch',
        `payload.${member}: expected the one that the key was enrolled for; enroll a key for this ` +
          'account and client, or use theirs',
      );
    }
  }
}

export function isOwnerId(id: string): boolean {
  return id !== '' && !id.includes('\0');
}

function checkOrigin(text: string, policy: Required<TargetPolicy>): void {
  const origin = parseOrigin(text);
  if (!origin) {
    return refusePayload(
      'targetOrigin',
      'an origin in its canonical form: http or https, "://" and a host in lower case; no user info, ' +
        'path or final slash; never the default port',
    );
  }
  if (!allowsOrigin(policy, origin)) {
    refusePayload('targetOrigin', 'an origin that the target policy allows');
  }
}

function checkExpiry(member: string, expiry: number, now: number, maxLifetime: number): void {
  if (expiry <= now) refusePayload(member, 'a time in the future (Unix seconds); it has expired');
  if (expiry - now > maxLifetime) {
    refusePayload(
      member,
      `a time (Unix seconds) at most ${maxLifetime} seconds ahead; is the clock of this machine right?`,
    );
  }
}
