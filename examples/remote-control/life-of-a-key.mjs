// @ts-check
/**
 * The demonstration, step by step. Each step checks its result: if a request that must be refused
 * is accepted, or is refused for another reason, the demonstration fails.
 *
 * @typedef {import('./client.mjs').Account} Account
 * @typedef {import('./client.mjs').Session} Session
 * @typedef {import('node-device-key').DeviceKeySignResponse} Proof
 * @typedef {import('node-device-key').DeviceKeyStoreOptions} DeviceKeyStoreOptions
 * @typedef {Awaited<ReturnType<typeof import('./software-tpm.mjs').startSoftwareTpm>>} SoftwareTpm
 */
import { fork } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { DeviceKeyStore } from 'node-device-key';
import { startBackend } from './backend.mjs';
import * as client from './client.mjs';
import { check } from './report.mjs';

/** Long enough for any refusal without the TPM; a request to a paused TPM would wait forever. */
const REFUSAL_MS = 2_000;

/**
 * @param {object} options
 * @param {import('./report.mjs').Report} options.report
 * @param {DeviceKeyStoreOptions} options.storeOptions
 * @param {SoftwareTpm | undefined} options.softwareTpm undefined with the machine's own TPM
 * @param {import('node-device-key/verify').TpmAttestationExchangeOptions['trust']} [options.attestationTrust]
 *   as the backend's: without it no attestation is demanded
 * @param {(store: DeviceKeyStore) => void} options.onStore called with each store that is opened
 * @param {(kill: () => void) => void} options.atExit called with what must not outlive the demo
 */
export async function lifeOfAKey({
  report,
  storeOptions,
  softwareTpm,
  attestationTrust,
  onStore,
  atExit,
}) {
  let clockAdvance = 0;
  const backend = await startBackend({
    logins: { 'login-of-alice': 'user-alice', 'login-of-mallory': 'user-mallory' },
    ...(attestationTrust !== undefined && { attestationTrust }),
    now: () => Math.floor(Date.now() / 1000) + clockAdvance,
  });
  const open = () => {
    const opened = DeviceKeyStore.open(storeOptions);
    onStore(opened);
    return opened;
  };
  let store = open();
  try {
    /** @type {Account} */
    const alice = {
      origin: backend.origin,
      login: 'login-of-alice',
      accountUserId: 'user-alice',
      clientId: 'laptop',
    };

    report.section('The hardware');

    await report.step(
      'the library finds the TPM',
      async () => {
        const { providers } = await store.support();
        const [tpm] = providers;
        check(tpm?.protectionClass === 'hardware_tpm', 'this build knows no TPM provider');
        if (!tpm.available) throw Object.assign(new Error(tpm.message ?? ''), { code: tpm.code });
        return tpm.details;
      },
      ({ manufacturer, vendor }) => `its maker says: ${manufacturer} ${vendor}`,
    );

    report.section('Enrollment: once per device');

    const challenge = await report.step(
      'challenge from the backend',
      () => client.requestChallenge(alice),
      ({ challengeId }) => `POST …/enroll/start answered ${challengeId.slice(0, 10)}…`,
    );
    const deviceKey = await report.step(
      'device key made in the TPM',
      async () => {
        const { accountUserId, clientId } = alice;
        const key = await store.create({ accountUserId, clientId });
        check(key.protectionClass === 'hardware_tpm', `its class is ${key.protectionClass}`);
        check(key.algorithm === 'ecdsa_p256_sha256', `its algorithm is ${key.algorithm}`);
        return key;
      },
      (key) => `${key.keyId.slice(0, 15)}… ECDSA P-256, bound to user-alice on laptop`,
    );
    const { keyId } = deviceKey;
    const enrollmentProof = await report.step(
      'enrollment proof signed',
      () =>
        store.sign({
          keyId,
          payload: client.enrollmentPayload(alice, challenge, deviceKey),
        }),
      describeProof,
    );
    const attestation =
      attestationTrust === undefined
        ? undefined
        : await attestationSteps(report, store, alice, deviceKey);
    const session = await report.step(
      'backend verifies it and stores the public key',
      async () => {
        const issued = await client.submitEnrollment(
          alice,
          challenge,
          deviceKey,
          enrollmentProof,
          attestation,
        );
        check(backend.enrolledKeys() === 1, 'no key was enrolled');
        return issued;
      },
      ({ expiresAt }) =>
        `session token issued, until ${new Date(expiresAt * 1000).toISOString().slice(11, 19)} UTC`,
    );

    if (attestation) {
      await report.step(
        'backend stores the proof of the TPM',
        async () => {
          const proven = backend.attestationOf(alice);
          check(proven, 'nothing was proven');
          check(proven.endorsement === (attestationTrust ? 'chained' : 'pinned'), 'no chain');
          return proven;
        },
        ({ certificate }) =>
          certificate
            ? `in a TPM that is certified by ${certificate.issuer.replaceAll('\n', ', ')}`
            : 'in a TPM without a certificate of its maker; it can be recognised later',
      );
    }

    report.section('Connection: every time');

    const channel = await report.step(
      'WebSocket opened with the token',
      () => client.openChannel(alice, session),
      (opened) => `the backend's challenge: ${opened.challenge.nonce.slice(0, 10)}…`,
    );
    const connectionProof = await report.step(
      'connection proof signed',
      () =>
        store.sign({
          keyId,
          payload: client.connectionPayload(alice, session, channel.challenge),
        }),
      describeProof,
    );
    await report.step(
      'backend verifies it',
      () => channel.prove(connectionProof),
      () => 'signature, every member, token hash, nonce',
    );
    await report.step(
      'a message is answered',
      async () => {
        const answer = await channel.ask('hello');
        check(answer === 'user-alice said: hello', `the answer was ${JSON.stringify(answer)}`);
        channel.close();
        return answer;
      },
      (answer) => JSON.stringify(answer),
    );

    report.section('What the backend refuses');

    /**
     * Opens a connection with Alice's token and answers its challenge with the result of
     * `makeProof`.
     *
     * @param {(payload: ReturnType<typeof client.connectionPayload>) => Proof | Promise<Proof>} makeProof
     */
    const connectWith = async (makeProof) => {
      const opened = await client.openChannel(alice, session);
      await opened.prove(
        await makeProof(client.connectionPayload(alice, session, opened.challenge)),
      );
    };
    /** @param {string} title @param {string} reason @param {() => Promise<unknown>} attempt */
    const refusedStep = (title, reason, attempt) =>
      report.step(
        title,
        () => refused(attempt, reason),
        (why) => `refused: ${why}`,
      );

    await refusedStep('the token alone, without a proof', 'proof_required', async () => {
      const opened = await client.openChannel(alice, session);
      await opened.ask('hello');
    });
    await refusedStep('a replayed connection proof', 'nonce_mismatch', () =>
      connectWith(() => connectionProof),
    );
    await refusedStep('a replayed enrollment proof', 'unknown_challenge', () =>
      client.submitEnrollment(alice, challenge, deviceKey, enrollmentProof),
    );
    await refusedStep('an enrollment proof used to connect', 'type_mismatch', () =>
      connectWith(() => enrollmentProof),
    );
    await refusedStep('an edited member, signature kept', 'signature_mismatch', () =>
      connectWith(async (payload) => {
        const proof = await store.sign({ keyId, payload });
        return editSignedBytes(proof, (json) => json.replace('user-alice', 'user-mallory'));
      }),
    );
    await refusedStep('one flipped bit, signature kept', 'signature_mismatch', () =>
      connectWith(async (payload) => {
        const proof = await store.sign({ keyId, payload });
        const bytes = Buffer.from(proof.signedPayloadBase64, 'base64');
        bytes.writeUInt8(bytes.readUInt8(100) ^ 1, 100);
        return { ...proof, signedPayloadBase64: bytes.toString('base64') };
      }),
    );

    // The ids on the thief's device are the same; only the hardware differs.
    const { accountUserId, clientId } = alice;
    const thief = await store.create({ accountUserId, clientId });
    await refusedStep('a stolen token, used on another device', 'signature_mismatch', () =>
      connectWith((payload) => store.sign({ keyId: thief.keyId, payload })),
    );

    const mallory = { ...alice, login: 'login-of-mallory', accountUserId: 'user-mallory' };
    const malloryKey = await store.create({ accountUserId: mallory.accountUserId, clientId });
    await refusedStep(
      "another account's proof for Alice's challenge",
      'account_user_id_mismatch',
      async () => {
        const aliceOnDesktop = { ...alice, clientId: 'desktop' };
        const forAlice = await client.requestChallenge(aliceOnDesktop);
        const payload = client.enrollmentPayload(mallory, forAlice, malloryKey);
        const proof = await store.sign({ keyId: malloryKey.keyId, payload });
        await client.submitEnrollment(aliceOnDesktop, forAlice, malloryKey, proof);
      },
    );
    await refusedStep('a proof that comes too late', 'expired', async () => {
      const late = await client.requestChallenge(mallory);
      const payload = client.enrollmentPayload(mallory, late, malloryKey);
      const proof = await store.sign({ keyId: malloryKey.keyId, payload });
      clockAdvance = 3600;
      try {
        await client.submitEnrollment(mallory, late, malloryKey, proof);
      } finally {
        clockAdvance = 0;
      }
    });
    if (attestation) {
      const tablet = { ...alice, clientId: 'tablet' };
      const claimed = await store.create({ accountUserId, clientId: tablet.clientId });
      await refusedStep(
        'a key that only claims to be in a TPM',
        'attestation_required',
        async () => {
          const asked = await client.requestChallenge(tablet);
          const payload = client.enrollmentPayload(tablet, asked, claimed);
          const proof = await store.sign({ keyId: claimed.keyId, payload });
          await client.submitEnrollment(tablet, asked, claimed, proof);
        },
      );
      await refusedStep(
        'a software key, with the TPM key attested',
        'attested_key_mismatch',
        async () => {
          const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
          const spki = publicKey.export({ format: 'der', type: 'spki' });
          const asked = await client.requestAttestation(tablet, {
            publicKeySpkiDerBase64: spki.toString('base64'),
          });
          const made = await store.attest({ keyId, challenge: asked.challenge });
          await client.requestCredential(tablet, asked.attestationId, made);
        },
      );
      await store.delete({ keyId: claimed.keyId });
    }
    await report.step(
      'no other key was enrolled',
      () => check(backend.enrolledKeys() === 1, `${backend.enrolledKeys()} keys are enrolled`),
      () => "Alice's laptop is still the only device",
    );

    report.section(
      `What the library refuses${softwareTpm ? ' (the TPM is paused: it is not even asked)' : ''}`,
    );

    const payload = client.connectionPayload(alice, session, channel.challenge);
    /** @param {string} title @param {string} code @param {Partial<typeof payload>} change */
    const notSigned = (title, code, change) =>
      refusedStep(title, code, () =>
        withoutTpm(softwareTpm, () => store.sign({ keyId, payload: { ...payload, ...change } })),
      );
    await notSigned('a statement for another account', 'binding_mismatch', {
      accountUserId: 'user-mallory',
    });
    await notSigned('a statement for another server', 'invalid_payload', {
      targetOrigin: 'https://chatgpt.com.example',
    });
    await notSigned('a statement that holds for a year', 'invalid_payload', {
      tokenExpiresAt: session.expiresAt + 31_536_000,
    });

    report.section('The next start of the app');

    await report.step(
      'store closed; a new process connects with the key',
      async () => {
        await store.close();
        const { answer } = await secondStart(
          { storeOptions, account: alice, session, keyId },
          atExit,
        );
        check(answer === 'user-alice said: hello again', `the answer was ${answer}`);
        return answer;
      },
      (answer) => JSON.stringify(answer),
    );

    report.section('The end of the key');

    store = open();
    await report.step(
      'key deleted',
      async () => {
        for (const id of [keyId, thief.keyId, malloryKey.keyId]) await store.delete({ keyId: id });
        check((await store.list()).length === 0, 'the store still lists keys');
      },
      () => 'and the two keys for refused proofs',
    );
    await refusedStep('a signature with the deleted key', 'key_not_found', () =>
      store.sign({ keyId, payload }),
    );
  } finally {
    // A TPM that hangs must not prevent the demonstration from ending.
    softwareTpm?.resume();
    await store.close();
    await backend.close();
  }
}

/**
 * Proves to the backend that the key is in a TPM.
 *
 * @param {import('./report.mjs').Report} report
 * @param {DeviceKeyStore} store
 * @param {Account} account
 * @param {import('node-device-key').DeviceKeyCreateResponse} key
 */
async function attestationSteps(report, store, account, key) {
  const { keyId } = key;
  const asked = await client.requestAttestation(account, key);
  const attestation = await report.step(
    'TPM certifies that the key is in it',
    () => store.attest({ keyId, challenge: asked.challenge }),
    ({ endorsementKeys }) =>
      `with ${endorsementKeys.filter(({ certificate }) => certificate).length} certificates of its maker`,
  );
  const credential = await report.step(
    'backend encrypts a secret for this TPM',
    () => client.requestCredential(account, asked.attestationId, attestation),
    () => 'statement, attributes and chain of certificates hold',
  );
  const { credentialBlob, encryptedSecret } = credential;
  const { secret } = await report.step(
    'TPM decrypts the secret',
    () => store.activateAttestation({ keyId, credentialBlob, encryptedSecret }),
    () => 'no other TPM can',
  );
  return { attestationId: credential.attestationId, secret };
}

/** @param {Proof} proof */
const describeProof = (proof) =>
  `TPM signed ${Buffer.from(proof.signedPayloadBase64, 'base64').length} bytes; ` +
  'the library verified it before returning';

/**
 * Fails the step unless `attempt` is refused with `reason`, an error code. Any other error also
 * fails the step, so that a broken demonstration does not pass.
 *
 * @param {() => Promise<unknown>} attempt
 * @param {string} reason
 */
async function refused(attempt, reason) {
  const error = await attempt().then(
    () => undefined,
    (refusal) => refusal,
  );
  check(error, `it was accepted; it should have been refused: ${reason}`);
  const why = `${error.code}: ${error.message}`;
  if (error.code !== reason) throw error;
  return why;
}

/** @param {Proof} proof @param {(json: string) => string} edit @returns {Proof} */
function editSignedBytes(proof, edit) {
  const before = Buffer.from(proof.signedPayloadBase64, 'base64').toString();
  const after = edit(before);
  check(after !== before, 'the edit changed nothing');
  return { ...proof, signedPayloadBase64: Buffer.from(after).toString('base64') };
}

/**
 * Runs `action` while the software TPM does not answer.
 *
 * @template T
 * @param {SoftwareTpm | undefined} tpm
 * @param {() => Promise<T>} action
 * @returns {Promise<T>}
 */
async function withoutTpm(tpm, action) {
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  tpm?.pause();
  try {
    const tooLong = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error('it waits for the TPM')), REFUSAL_MS);
    });
    return /** @type {T} */ (await Promise.race([action(), tooLong]));
  } finally {
    clearTimeout(timer);
    tpm?.resume();
  }
}

/**
 * @param {import('./second-start.mjs').SecondStartTask} task
 * @param {(kill: () => void) => void} atExit
 * @returns {Promise<{ answer: string }>}
 */
async function secondStart(task, atExit) {
  const child = fork(fileURLToPath(new URL('./second-start.mjs', import.meta.url)), {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  atExit(() => child.kill('SIGKILL'));
  const ended = once(child, 'exit');
  child.send(task);
  const [result] = await Promise.race([
    once(child, 'message'),
    ended.then(([status]) => [{ message: `the process ended with status ${status}` }]),
  ]);
  await ended;
  if (!result.answer) throw Object.assign(new Error(result.message), { code: result.code });
  return result;
}
