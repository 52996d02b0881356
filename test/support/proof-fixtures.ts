import {
  DeviceKeyVerificationError,
  InMemoryNonceStore,
  type ExpectedConnectionProof,
  type ExpectedEnrollmentProof,
  type VerifyDeviceKeyProofOptions,
} from '../../lib/verify';
import { SoftwareSigner } from './software-signer';

/** The time in all tests of proofs, in Unix seconds, and an expiry after it. */
export const NOW = 1_800_000_000;
export const EXPIRY = NOW + 600;

const DIGEST = '47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU';

export const connectionPayload = {
  type: 'remoteControlClientConnection',
  nonce: 'q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA',
  audience: 'remote_control_client_websocket',
  sessionId: 'wssess_01',
  targetOrigin: 'https://chatgpt.com',
  targetPath: '/api/codex/remote/control/client',
  accountUserId: 'user-7f3a',
  clientId: 'cli_42',
  tokenExpiresAt: EXPIRY,
  tokenSha256Base64url: DIGEST,
  scopes: ['remote_control_controller_websocket'],
} as const;

export const enrollmentPayload = {
  type: 'remoteControlClientEnrollment',
  nonce: 'q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA',
  audience: 'remote_control_client_enrollment',
  challengeId: 'rch_01',
  targetOrigin: 'https://chatgpt.com',
  targetPath: '/wham/remote/control/client/enroll',
  accountUserId: 'user-7f3a',
  clientId: 'cli_42',
  deviceIdentitySha256Base64url: DIGEST,
  challengeExpiresAt: EXPIRY,
} as const;

export const signer = new SoftwareSigner();
const { publicKeySpkiDerBase64 } = signer;

export const expectedConnection: ExpectedConnectionProof = {
  publicKeySpkiDerBase64,
  ...connectionPayload,
};
export const expectedEnrollment: ExpectedEnrollmentProof = {
  publicKeySpkiDerBase64,
  ...enrollmentPayload,
};

/** Options with a separate store, at the time NOW. */
export function optionsAt(
  now = NOW,
  more: Partial<VerifyDeviceKeyProofOptions> = {},
): VerifyDeviceKeyProofOptions {
  return { nonces: new InMemoryNonceStore({ now: () => now }), now: () => now, ...more };
}

/** The error code of a verification; undefined if it succeeds. */
export async function codeOf(verification: () => unknown): Promise<string | undefined> {
  try {
    await verification();
    return undefined;
  } catch (error) {
    if (error instanceof DeviceKeyVerificationError) return error.code;
    throw error;
  }
}
