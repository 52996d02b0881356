import { createHash, randomBytes, timingSafeEqual, X509Certificate } from 'node:crypto';

import type { DeviceKeyAttestation } from '../../../types/extensions';
import { toJson } from '../../own';
import { clockOf, copyOfArray, hasMethod, readArgument } from '../arguments';
import { decodeBase64 } from '../base64';
import { DeviceKeyVerificationError } from '../error';
import { importPublicKey } from '../public-key';
import { verifyTpmKeyAttestation } from './attestation';
import { makeCredential } from './credential';
import type { EndorsementTrust } from './endorsement-certificate';

/** What an exchange has proven, and what it has not. JSON: a backend stores it with the key. */
export interface TpmKeyProof {
  /** The key that is in the TPM. */
  publicKeySpkiDerBase64: string;
  /**
   * `chained`: a certificate that leads to one of the backend's roots is for the TPM's endorsement key, so
   * the TPM is one that its maker vouches for. `pinned`: the key is in some TPM, which can be a software
   * TPM; the fingerprint only tells whether it is the same one as before.
   */
  endorsement: 'chained' | 'pinned';
  /** SHA-256 of the endorsement key's SubjectPublicKeyInfo, in hex. It identifies the machine. */
  endorsementKeySha256Hex: string;
  /** Of the endorsement key's certificate; null when pinned. */
  certificate: { issuer: string; serialNumber: string; sha256Hex: string } | null;
  /** The vendor's number for the TPM's firmware, in hex. */
  firmwareVersionHex: string;
  /** How often the TPM was reset and resumed; see TPMS_CLOCK_INFO. */
  resetCount: number;
  restartCount: number;
  /** False when the TPM's clock may have gone back. */
  clockSafe: boolean;
  /** When the exchange was completed, in Unix seconds. */
  provenAt: number;
}

/** Holds the state of exchanges between their steps. Shared by every process of the backend. */
export interface AttestationStateStore {
  /** Keeps `state` until `take`, or until its own clock reads `expiresAtUnixSeconds`. */
  put(id: string, state: string, expiresAtUnixSeconds: number): Promise<void>;
  /** Returns the state and forgets it, in one step: of callers at the same moment one gets it. */
  take(id: string): Promise<string | undefined>;
}

/** An {@link AttestationStateStore} for a backend of one process. */
export class InMemoryAttestationStateStore implements AttestationStateStore {
  readonly #states = new Map<string, { state: string; expiresAt: number }>();
  readonly #capacity: number;
  readonly #now: () => number;

  /**
   * @param options.capacity states held at once; default 10,000
   * @param options.now the time in Unix seconds; default the system clock
   */
  constructor(options: { capacity?: number; now?: () => number } = {}) {
    const own = readArgument(options, 'options');
    const { capacity = 10_000 } = own;
    if (!Number.isSafeInteger(capacity) || capacity < 1) {
      throw new TypeError('capacity must be a positive integer');
    }
    this.#capacity = capacity;
    this.#now = clockOf(own);
  }

  // Async so that what is thrown rejects.
  // eslint-disable-next-line @typescript-eslint/require-await
  async put(id: string, state: string, expiresAtUnixSeconds: number): Promise<void> {
    // A state with a member `then` would be awaited by take.
    if (typeof state !== 'string') throw new TypeError('state must be a string');
    if (typeof expiresAtUnixSeconds !== 'number') {
      throw new TypeError('expiresAtUnixSeconds must be a number');
    }
    if (this.#states.size >= this.#capacity) this.#sweep();
    if (this.#states.size >= this.#capacity) {
      throw new Error(`${this.#capacity} attestations are under way; raise the store's capacity`);
    }
    this.#states.set(id, { state, expiresAt: expiresAtUnixSeconds });
  }

  // eslint-disable-next-line @typescript-eslint/require-await
  async take(id: string): Promise<string | undefined> {
    const held = this.#states.get(id);
    this.#states.delete(id);
    return held && this.#now() < held.expiresAt ? held.state : undefined;
  }

  #sweep(): void {
    const now = this.#now();
    for (const [id, { expiresAt }] of this.#states) {
      if (expiresAt <= now) this.#states.delete(id);
    }
  }
}

export interface TpmAttestationExchangeOptions {
  states: AttestationStateStore;
  /**
   * The TPM makers' root certificates, and intermediate ones, in PEM or DER. Null accepts TPMs without a
   * certificate, software TPMs among them; the proof then says `pinned`.
   */
  trust: {
    roots: readonly (string | Uint8Array)[];
    intermediates?: readonly (string | Uint8Array)[];
  } | null;
  /** How long the client may take from the challenge to the last step, in seconds. Default 300. */
  lifetimeSeconds?: number;
  /** The time in Unix seconds. Default: the system clock. */
  now?: () => number;
}

interface ChallengedState {
  step: 'challenged';
  challenge: string;
  publicKeySpkiDerBase64: string;
  expiresAt: number;
}

interface CredentialState {
  step: 'credential';
  secretSha256Hex: string;
  proof: Omit<TpmKeyProof, 'provenAt'>;
  expiresAt: number;
}

type State = ChallengedState | CredentialState;

/**
 * The backend's side of a proof that a device key is in a TPM, in three steps:
 *
 * 1. `challenge` for the key to be attested; the client answers with `attestDeviceKey`.
 * 2. `makeCredential` checks that answer and encrypts a secret for the one TPM that has both the endorsement
 *    key and the attestation key; the client answers with `activateDeviceKeyAttestation`.
 * 3. `complete` compares the secret and says what was proven.
 *
 * Each step can be taken once. A step that fails ends the exchange: begin a new one.
 */
export class TpmAttestationExchange {
  readonly #states: AttestationStateStore;
  readonly #trust: EndorsementTrust | null;
  readonly #lifetimeSeconds: number;
  readonly #now: () => number;

  /** @throws TypeError when an option is not usable, such as a root that is no certificate */
  constructor(options: TpmAttestationExchangeOptions) {
    const own = readArgument(options, 'options');
    const { states, trust, lifetimeSeconds = 300 } = own;
    if (states === undefined || !hasMethod(states, 'put') || !hasMethod(states, 'take')) {
      throw new TypeError('options.states must be an AttestationStateStore');
    }
    if (!Number.isFinite(lifetimeSeconds) || lifetimeSeconds <= 0) {
      throw new TypeError('options.lifetimeSeconds must be a positive number of seconds');
    }
    this.#states = states;
    if (trust === undefined) throw new TypeError('options.trust must name roots, or be null');
    this.#trust = trust === null ? null : trustOf(trust);
    this.#lifetimeSeconds = lifetimeSeconds;
    this.#now = clockOf(own);
  }

  /**
   * Begins an exchange about one key.
   *
   * @returns the challenge for `attestDeviceKey`, and the id that names the exchange in the next steps
   * @throws DeviceKeyVerificationError when `publicKeySpkiDerBase64` is not a P-256 key
   */
  async challenge(key: {
    publicKeySpkiDerBase64: string;
  }): Promise<{ attestationId: string; challenge: string; expiresAt: number }> {
    const publicKeySpkiDerBase64 = readArgument(key, 'key').publicKeySpkiDerBase64 ?? '';
    importPublicKey(publicKeySpkiDerBase64);
    const challenge = randomBytes(32).toString('base64url');
    const expiresAt = Math.floor(this.#now()) + this.#lifetimeSeconds;
    const attestationId = await this.#put({
      ...{ step: 'challenged', challenge, publicKeySpkiDerBase64, expiresAt },
    });
    return { attestationId, challenge, expiresAt };
  }

  /**
   * Checks the client's attestation and makes the credential for `activateDeviceKeyAttestation`.
   *
   * @returns a new id for the last step, and both buffers in base64
   * @throws DeviceKeyVerificationError with the check that failed, or `attestation_unknown` for an exchange
   *   that has ended, expired or never began
   */
  async makeCredential(
    attestationId: string,
    attestation: DeviceKeyAttestation,
  ): Promise<{ attestationId: string; credentialBlob: string; encryptedSecret: string }> {
    const state = await this.#take(attestationId, 'challenged');
    const { challenge, publicKeySpkiDerBase64, expiresAt } = state;
    const checked = verifyTpmKeyAttestation(
      attestation,
      { challenge, publicKeySpkiDerBase64 },
      this.#trust,
      new Date(this.#now() * 1000),
    );
    const secret = randomBytes(32);
    const credential = makeCredential(checked.endorsementKey, checked.attestationKeyName, secret);
    const { endorsementCertificate: certificate } = checked;
    const proof = {
      publicKeySpkiDerBase64,
      endorsement: certificate ? ('chained' as const) : ('pinned' as const),
      endorsementKeySha256Hex: sha256Hex(checked.endorsementKeySpki),
      certificate: certificate && {
        issuer: certificate.issuer,
        serialNumber: certificate.serialNumber,
        sha256Hex: sha256Hex(certificate.raw),
      },
      firmwareVersionHex: checked.firmwareVersion.toString(16).padStart(16, '0'),
      resetCount: checked.resetCount,
      restartCount: checked.restartCount,
      clockSafe: checked.clockSafe,
    };
    const next = await this.#put({
      ...{ step: 'credential', secretSha256Hex: sha256Hex(secret), proof, expiresAt },
    });
    return {
      attestationId: next,
      credentialBlob: credential.credentialBlob.toString('base64'),
      encryptedSecret: credential.encryptedSecret.toString('base64'),
    };
  }

  /**
   * Compares what the client's TPM decrypted with what was encrypted for it.
   *
   * @param secret canonical base64 with padding
   * @throws DeviceKeyVerificationError `credential_mismatch`, or `attestation_unknown` for an exchange that
   *   has ended, expired or never began
   */
  async complete(attestationId: string, secret: string): Promise<TpmKeyProof> {
    const state = await this.#take(attestationId, 'credential');
    const bytes = typeof secret === 'string' ? decodeBase64(secret) : undefined;
    const expected = Buffer.from(state.secretSha256Hex, 'hex');
    const actual = createHash('sha256')
      .update(bytes ?? '')
      .digest();
    if (!timingSafeEqual(expected, actual)) {
      throw new DeviceKeyVerificationError(
        'credential_mismatch',
        'the secret must be the one in the credential: the attestation key is not in the TPM of the endorsement key',
      );
    }
    return { ...state.proof, provenAt: Math.floor(this.#now()) };
  }

  async #put(state: State): Promise<string> {
    const id = randomBytes(32).toString('base64url');
    await this.#states.put(id, toJson(state, 'state'), state.expiresAt);
    return id;
  }

  async #take<Step extends State['step']>(
    id: string,
    step: Step,
  ): Promise<Extract<State, { step: Step }>> {
    const text = typeof id === 'string' ? await this.#states.take(id) : undefined;
    const state = text === undefined ? undefined : (JSON.parse(text) as State);
    // A state store's clock can differ from this one.
    if (state?.step !== step || this.#now() >= state.expiresAt) {
      throw new DeviceKeyVerificationError(
        'attestation_unknown',
        'there is no such attestation under way: it has ended or expired; begin a new one',
      );
    }
    return state as Extract<State, { step: Step }>;
  }
}

function trustOf(trust: NonNullable<TpmAttestationExchangeOptions['trust']>): EndorsementTrust {
  const { roots: givenRoots, intermediates: givenIntermediates = [] } = readArgument(
    trust,
    'options.trust',
  );
  const roots = copyOfArray(givenRoots);
  if (roots === undefined || roots.length === 0) {
    throw new TypeError('options.trust.roots must be an array of certificates, or trust be null');
  }
  const intermediates = copyOfArray(givenIntermediates);
  if (intermediates === undefined) {
    throw new TypeError('options.trust.intermediates must be an array of certificates');
  }
  return {
    roots: certificates(roots, 'roots'),
    intermediates: certificates(intermediates, 'intermediates'),
  };
}

function certificates(list: readonly unknown[], name: string): X509Certificate[] {
  return list.map((certificate, index) => {
    try {
      return new X509Certificate(certificate as string | Uint8Array);
    } catch (cause) {
      throw new TypeError(`options.trust.${name}[${index}] must be a certificate in PEM or DER`, {
        cause,
      });
    }
  });
}

function sha256Hex(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
