import type { DeviceKeySignPayload } from '../../types/v2';
import { PAYLOADS, SIGNED_BYTES_DOMAIN } from './payload-types';

/** The bytes that a device key signs, as native/protocol/signed_bytes.cc writes them. */
export function signedBytes(payload: DeviceKeySignPayload): Buffer {
  // With a list of names JSON.stringify writes only these members, in this order.
  const text = JSON.stringify(payload, Object.keys(PAYLOADS[payload.type].members));
  return Buffer.from(`{"domain":"${SIGNED_BYTES_DOMAIN}","payload":${text}}`);
}
