import {
  verifyDeviceKeyProof,
  type DeviceKeyProofDecision,
  type ExpectedProof,
  type NonceStore,
  type VerifyDeviceKeyProofOptions,
} from '../../lib/verify';
import {
  codeOf,
  connectionPayload,
  enrollmentPayload,
  expectedConnection,
  expectedEnrollment,
  EXPIRY,
  NOW,
  optionsAt,
  signer,
} from '../support/proof-fixtures';
import { SoftwareSigner } from '../support/software-signer';

const OTHER_DIGEST = 'A'.repeat(43);

interface Attempt {
  payload?: object;
  expected?: ExpectedProof;
  options?: VerifyDeviceKeyProofOptions;
}

const codeFor = ({ payload, expected, options }: Attempt) =>
  codeOf(() =>
    verifyDeviceKeyProof(
      signer.signPayload(payload ?? connectionPayload),
      expected ?? expectedConnection,
      options ?? optionsAt(),
    ),
  );

/** Records its arguments and returns the given answer. */
class ScriptedNonceStore implements NonceStore {
  readonly asked: [string, number][] = [];
  constructor(private readonly answer: () => unknown = () => true) {}
  consume(nonce: string, expiresAtUnixSeconds: number): Promise<boolean> {
    this.asked.push([nonce, expiresAtUnixSeconds]);
    return new Promise((resolve) => {
      resolve(this.answer() as boolean);
    });
  }
}

describe('a valid proof', () => {
  test('of a connection resolves to its payload', async () => {
    const proof = signer.signPayload(connectionPayload);
    const payload = await verifyDeviceKeyProof(proof, expectedConnection, optionsAt());
    expect(payload).toEqual(connectionPayload);
    expect(payload.sessionId).toBe('wssess_01'); // typed as the connection payload
  });

  test('of an enrollment resolves to its payload', async () => {
    const proof = signer.signPayload(enrollmentPayload);
    const payload = await verifyDeviceKeyProof(proof, expectedEnrollment, optionsAt());
    expect(payload).toEqual(enrollmentPayload);
    expect(payload.challengeId).toBe('rch_01');
  });

  test('does not need an expected expiry', async () => {
    const anyToken = { ...expectedConnection, tokenExpiresAt: undefined };
    const anyChallenge = { ...expectedEnrollment, challengeExpiresAt: undefined };
    expect(await codeFor({ expected: anyToken })).toBeUndefined();
    expect(await codeFor({ payload: enrollmentPayload, expected: anyChallenge })).toBeUndefined();
  });
});

describe('each member that differs is refused with its own code', () => {
  const shared: [string, unknown, string][] = [
    ['audience', 'remote_control', 'audience_mismatch'],
    ['nonce', OTHER_DIGEST, 'nonce_mismatch'],
    ['targetOrigin', 'https://chatgpt.com.example', 'target_origin_mismatch'],
    ['targetPath', '/wham/remote/control/client', 'target_path_mismatch'],
    ['accountUserId', 'user-7f3b', 'account_user_id_mismatch'],
    ['clientId', 'CLI_42', 'client_id_mismatch'],
  ];

  test.each([
    ...shared,
    ['type', 'remoteControlClientEnrollment', 'type_mismatch'],
    ['type', 'other', 'type_mismatch'],
    ['sessionId', 'wssess_02', 'session_id_mismatch'],
    ['tokenSha256Base64url', OTHER_DIGEST, 'token_sha256_mismatch'],
    ['tokenExpiresAt', EXPIRY + 1, 'expiry_mismatch'],
    ['scopes', [], 'scopes_mismatch'],
    ['scopes', ['remote_control_controller_websocket', 'other'], 'scopes_mismatch'],
    ['scopes', ['other'], 'scopes_mismatch'],
  ])('connection: %s %j → %s', async (member, value, code) => {
    const nonces = new ScriptedNonceStore();
    const payload = { ...connectionPayload, [member]: value };
    expect(await codeFor({ payload, options: optionsAt(NOW, { nonces }) })).toBe(code);
    expect(nonces.asked).toEqual([]);
  });

  test.each([
    ...shared,
    ['type', 'remoteControlClientConnection', 'type_mismatch'],
    ['challengeId', 'rch_02', 'challenge_id_mismatch'],
    ['deviceIdentitySha256Base64url', OTHER_DIGEST, 'device_identity_sha256_mismatch'],
    ['challengeExpiresAt', EXPIRY + 1, 'expiry_mismatch'],
  ])('enrollment: %s %j → %s', async (member, value, code) => {
    const nonces = new ScriptedNonceStore();
    const attempt = { expected: expectedEnrollment, options: optionsAt(NOW, { nonces }) };
    const payload = { ...enrollmentPayload, [member]: value };
    expect(await codeFor({ ...attempt, payload })).toBe(code);
    expect(nonces.asked).toEqual([]);
  });

  test('a proof of one type is refused as the other', async () => {
    expect(await codeFor({ payload: enrollmentPayload })).toBe('type_mismatch');
    expect(await codeFor({ expected: expectedEnrollment })).toBe('type_mismatch');
  });

  test('a proof by another key', async () => {
    const { publicKeySpkiDerBase64 } = new SoftwareSigner();
    const expected = { ...expectedConnection, publicKeySpkiDerBase64 };
    expect(await codeFor({ expected })).toBe('signature_mismatch');
  });

  test('messages name the member and never quote the payload', async () => {
    const payload = { ...connectionPayload, sessionId: 'secret-session' };
    const verification = verifyDeviceKeyProof(
      signer.signPayload(payload),
      expectedConnection,
      optionsAt(),
    );
    await expect(verification).rejects.toThrow(/sessionId/);
    await expect(verification).rejects.not.toThrow(/secret-session|wssess_01/);
  });
});

describe('the clock', () => {
  const codeAt = (now: number, limits: Partial<VerifyDeviceKeyProofOptions> = {}) =>
    codeFor({ options: optionsAt(now, limits) });

  test('a proof expires 30 s after its expiry by default', async () => {
    expect(await codeAt(EXPIRY + 29.999)).toBeUndefined();
    expect(await codeAt(EXPIRY + 30)).toBe('expired');
    expect(await codeAt(EXPIRY - 0.001, { clockSkewSeconds: 0 })).toBeUndefined();
    expect(await codeAt(EXPIRY, { clockSkewSeconds: 0 })).toBe('expired');
  });

  test('an expiry can be 900 s plus the skew ahead by default', async () => {
    expect(await codeAt(EXPIRY - 930)).toBeUndefined();
    expect(await codeAt(EXPIRY - 930.001)).toBe('lifetime_too_long');
    const strict = { clockSkewSeconds: 0, maxLifetimeSeconds: 60 };
    expect(await codeAt(EXPIRY - 60, strict)).toBeUndefined();
    expect(await codeAt(EXPIRY - 61, strict)).toBe('lifetime_too_long');
  });

  test('an enrollment has the same limits', async () => {
    const codeAt = (now: number) =>
      codeFor({
        payload: enrollmentPayload,
        expected: expectedEnrollment,
        options: optionsAt(now),
      });
    expect(await codeAt(EXPIRY + 29.999)).toBeUndefined();
    expect(await codeAt(EXPIRY + 30)).toBe('expired');
    expect(await codeAt(EXPIRY - 931)).toBe('lifetime_too_long');
  });

  test('that fails lets no proof pass', async () => {
    expect(await codeAt(NaN)).toBe('expired');
  });

  test('is the system clock by default', async () => {
    const tokenExpiresAt = Math.floor(Date.now() / 1000) + 600;
    const nonces = new ScriptedNonceStore();
    const payload = { ...connectionPayload, tokenExpiresAt };
    const expected = { ...expectedConnection, tokenExpiresAt };
    expect(await codeFor({ payload, expected, options: { nonces } })).toBeUndefined();
    expect(await codeFor({ options: { nonces } })).not.toBeUndefined(); // NOW is not now
  });
});

describe('the nonce', () => {
  test('is used up by the first success: a replay is refused', async () => {
    const options = optionsAt();
    expect(await codeFor({ options })).toBeUndefined();
    expect(await codeFor({ options })).toBe('nonce_replayed');
  });

  test('is not used up by a refused proof', async () => {
    const options = optionsAt();
    const payload = { ...connectionPayload, sessionId: 'other' };
    expect(await codeFor({ payload, options })).toBe('session_id_mismatch');
    expect(await codeFor({ options })).toBeUndefined();
  });

  test('accepts exactly one of many concurrent proofs', async () => {
    const options = optionsAt();
    const codes = await Promise.all(Array.from({ length: 50 }, () => codeFor({ options })));
    expect(codes.filter((code) => code === undefined)).toHaveLength(1);
    expect(codes.filter((code) => code === 'nonce_replayed')).toHaveLength(49);
  });

  test('is kept for twice the skew after the expiry', async () => {
    const nonces = new ScriptedNonceStore();
    expect(
      await codeFor({ options: optionsAt(NOW, { nonces, clockSkewSeconds: 7 }) }),
    ).toBeUndefined();
    expect(nonces.asked).toEqual([[connectionPayload.nonce, EXPIRY + 14]]);
  });

  test('whose store answers after the expiry is refused', async () => {
    let now = EXPIRY;
    const nonces = new ScriptedNonceStore(() => {
      now = EXPIRY + 30;
      return true;
    });
    expect(await codeFor({ options: { nonces, now: () => now } })).toBe('expired');
  });

  test('whose store fails is refused, with the cause', async () => {
    const cause = new Error('connection lost');
    const nonces = new ScriptedNonceStore(() => {
      throw cause;
    });
    const proof = signer.signPayload(connectionPayload);
    const verification = verifyDeviceKeyProof(
      proof,
      expectedConnection,
      optionsAt(NOW, { nonces }),
    );
    await expect(verification).rejects.toMatchObject({ code: 'nonce_store_failed', cause });
  });

  test.each(['OK', 1, undefined, null, {}])('whose store answers %j is refused', async (answer) => {
    const nonces = new ScriptedNonceStore(() => answer);
    expect(await codeFor({ options: optionsAt(NOW, { nonces }) })).toBe('nonce_store_failed');
  });
});

describe('a proof of another shape', () => {
  const good = signer.signPayload(connectionPayload);
  const code = (proof: unknown) =>
    codeOf(() => verifyDeviceKeyProof(proof as never, expectedConnection, optionsAt()));

  test.each(Object.keys(good))('without %s', async (member) => {
    expect(await code({ ...good, [member]: undefined })).toBe('proof_malformed');
  });

  test.each([undefined, null, 'text', []])('%j', async (proof) => {
    expect(await code(proof)).toBe('proof_malformed');
  });

  test('cannot bring its own public key', async () => {
    const stranger = new SoftwareSigner();
    const { publicKeySpkiDerBase64 } = stranger;
    const proof = { ...stranger.signPayload(connectionPayload), publicKeySpkiDerBase64 };
    expect(await code(proof)).toBe('signature_mismatch');
  });

  test('can have unknown members', async () => {
    expect(await code({ ...good, keyId: 'ignored' })).toBeUndefined();
  });
});

describe('onDecision', () => {
  const decisionsOn = async (
    payload: object,
    options: Partial<VerifyDeviceKeyProofOptions> = {},
  ) => {
    const decisions: DeviceKeyProofDecision[] = [];
    const onDecision = (decision: DeviceKeyProofDecision) => decisions.push(decision);
    await codeFor({ payload, options: optionsAt(NOW, { onDecision, ...options }) });
    return decisions;
  };
  const type = 'remoteControlClientConnection';
  const seconds = expect.any(Number) as number;

  test('is called once for a valid proof', async () => {
    expect(await decisionsOn(connectionPayload)).toEqual([{ code: 'accepted', type, seconds }]);
  });

  test.each<[string, object, Partial<VerifyDeviceKeyProofOptions>]>([
    ['session_id_mismatch', { ...connectionPayload, sessionId: 'other' }, {}],
    ['nonce_replayed', connectionPayload, { nonces: new ScriptedNonceStore(() => false) }],
    ['nonce_store_failed', connectionPayload, { nonces: new ScriptedNonceStore(() => 'OK') }],
  ])('is called once for a refusal: %s', async (code, payload, options) => {
    expect(await decisionsOn(payload, options)).toEqual([{ code, type, seconds }]);
  });

  test('that throws lets no proof pass', async () => {
    const onDecision = () => {
      throw new Error('the disk of the metrics is full');
    };
    const verification = codeFor({ options: optionsAt(NOW, { onDecision }) });
    await expect(verification).rejects.toThrow('the disk of the metrics is full');
  });

  test("is not called for a caller's mistake", async () => {
    const onDecision = jest.fn();
    const options = { ...optionsAt(), onDecision, clockSkewSeconds: -1 };
    await expect(codeFor({ options })).rejects.toThrow(TypeError);
    expect(onDecision).not.toHaveBeenCalled();
  });
});

describe("a caller's mistake is a TypeError, not a result for the proof", () => {
  const verifyWith = (changes: object, expected: ExpectedProof = expectedConnection) =>
    verifyDeviceKeyProof(
      signer.signPayload(connectionPayload),
      { ...expected, ...changes },
      optionsAt(),
    );

  test.each([
    ...['audience', 'nonce', 'targetOrigin', 'targetPath', 'accountUserId', 'clientId'],
    ...['type', 'sessionId', 'tokenSha256Base64url', 'scopes'],
  ])('expected.%s forgotten', async (member) => {
    const verification = verifyWith({ [member]: undefined });
    await expect(verification).rejects.toThrow(TypeError);
    await expect(verification).rejects.toThrow(`expected.${member}`);
  });

  test.each(['challengeId', 'deviceIdentitySha256Base64url'])(
    'expected.%s forgotten',
    async (member) => {
      const verification = verifyWith({ [member]: undefined }, expectedEnrollment);
      await expect(verification).rejects.toThrow(`expected.${member}`);
    },
  );

  test.each([
    ['type', 'toString'],
    ['audience', 'remote_control_client_enrollment'],
    ['nonce', 'q83vEjRWeJA'],
    ['nonce', `${connectionPayload.nonce}=`],
    ['tokenSha256Base64url', 'q83vEjRWeJA'],
    ['scopes', []],
    ['tokenExpiresAt', '1800000600'],
    ['tokenExpiresAt', 1800000600.5],
  ])('expected.%s %j', async (member, value) => {
    await expect(verifyWith({ [member]: value })).rejects.toThrow(TypeError);
  });

  test.each([
    ['nonces', undefined],
    ['nonces', new Set()],
    ['clockSkewSeconds', -1],
    ['clockSkewSeconds', Infinity],
    ['maxLifetimeSeconds', NaN],
    ['onDecision', 'log'],
  ])('options.%s %p', async (name, value) => {
    const options = { ...optionsAt(), [name]: value };
    const proof = signer.signPayload(connectionPayload);
    const verification = verifyDeviceKeyProof(proof, expectedConnection, options);
    await expect(verification).rejects.toThrow(TypeError);
    await expect(verification).rejects.toThrow(`options.${name}`);
  });
});
