import type {
  DeviceKeyProtectionClass,
  DeviceKeyPublicResponse,
  DeviceKeySignResponse,
} from '../../types/v2';
import { ownMembers, toJson } from '../own';
import { readArgument } from './arguments';
import { base64UrlByteLength } from './base64';
import { deviceIdentitySha256 } from './device-identity';
import { DeviceKeyVerificationError } from './error';
import {
  verifyDeviceKeyProof,
  type ExpectedEnrollmentProof,
  type VerifyDeviceKeyProofOptions,
} from './proof';
import { importPublicKey } from './public-key';

/** A device key as a backend keeps it. Times are whole Unix seconds. */
export interface EnrolledDeviceKey {
  /** Canonical base64 of the 91-byte SubjectPublicKeyInfo. It identifies the key. */
  publicKeySpkiDerBase64: string;
  /** The key's name on the device. */
  keyId: string;
  accountUserId: string;
  clientId: string;
  /** What the client said. `attestation` is what was proven. */
  protectionClass: DeviceKeyProtectionClass;
  /** What was proven about the key, such as a `TpmKeyProof`; null: nothing. */
  attestation: unknown;
  createdAt: number;
  /** Null: never. */
  lastUsedAt: number | null;
  /** Null: the key is in force. */
  revokedAt: number | null;
  /** The public key of the key that this one replaced in a rotation; null: a login enrolled it. */
  predecessorSpkiDerBase64: string | null;
}

/** A key to enroll, whose enrollment proof the backend has verified. */
export interface DeviceKeyToEnroll {
  /** Of the authenticated request. Both ids: 1 to 1024 bytes of UTF-8, no NUL. */
  accountUserId: string;
  clientId: string;
  /** What the client's `create` answered, as the client sent it. */
  key: DeviceKeyPublicResponse;
  /** What was proven about the key: an object that JSON can express, such as a `TpmKeyProof`. */
  attestation?: object | null;
}

/** What the backend issued for the statement with which a key names its successor. */
export type RotationChallenge = Pick<
  ExpectedEnrollmentProof,
  'nonce' | 'challengeId' | 'challengeExpiresAt' | 'targetOrigin' | 'targetPath'
>;

/** The account and the installation of an app that a key is for. */
interface Owner {
  accountUserId: string;
  clientId: string;
}

export type SqlValue = string | number | null;
export type KeyRow = Record<string, unknown>;

/**
 * SQL of PostgreSQL and of SQLite. The primary key lets a public key be enrolled once, for ever. The index
 * lets each client have one key in force.
 */
export const deviceKeysSchema = `
    CREATE TABLE IF NOT EXISTS device_keys (
      public_key_spki text NOT NULL PRIMARY KEY, -- base64 of the DER
      key_id text NOT NULL,
      account_user_id text NOT NULL,
      client_id text NOT NULL,
      protection_class text NOT NULL, -- what the client said
      attestation text, -- JSON of what was proven; null: nothing
      created_at bigint NOT NULL, -- Unix seconds, as below
      last_used_at bigint, -- null: never
      revoked_at bigint, -- null: in force
      predecessor_spki text -- the key that this one replaced; null: a login enrolled it
    );
    CREATE UNIQUE INDEX IF NOT EXISTS device_keys_in_force ON device_keys (account_user_id, client_id)
      WHERE revoked_at IS NULL;
    CREATE INDEX IF NOT EXISTS device_keys_account ON device_keys (account_user_id);`;

/** In the order of {@link DeviceKeyRegistry.valuesOf}. */
export const insertedColumns =
  'public_key_spki, key_id, account_user_id, client_id, protection_class, attestation, created_at, predecessor_spki';

/**
 * The keys of a backend, in its database: `PostgresKeyRegistry` and `SqliteKeyRegistry`.
 *
 * The database decides what happens when calls come at the same moment, in one process or in many: of two
 * enrollments of a public key one succeeds, and of two rotations of a key one.
 *
 * Every method rejects with a {@link DeviceKeyVerificationError}, with the code `key_registry_failed` where
 * the database could not answer (its error is the `cause`); and with a TypeError for arguments that are the
 * backend's own mistake.
 */
export abstract class DeviceKeyRegistry {
  readonly #now: () => number;

  /** @param now the time in Unix seconds */
  protected constructor(now: () => number) {
    this.#now = now;
  }

  /** The rows that a statement returns. Its parameters are `$1`, `$2` and so on, each once, in this order. */
  protected abstract rows(sql: string, values: SqlValue[]): Promise<KeyRow[]>;

  /**
   * Revokes `predecessor`, if it is in force, and inserts its successor, both or neither. Resolves to the
   * inserted row; to `not_in_force`, or to `already_enrolled` for the successor.
   */
  protected abstract replace(
    predecessor: string,
    successor: SqlValue[],
    now: number,
  ): Promise<KeyRow | 'not_in_force' | 'already_enrolled'>;

  /**
   * Enrolls a key. Verify its enrollment proof before, and take the account from the authenticated request.
   *
   * @throws DeviceKeyVerificationError `key_already_enrolled`: this public key is enrolled, or was and is
   *   revoked; `client_already_enrolled`: the client has another key in force, to be revoked or rotated;
   *   `device_key_malformed`, `algorithm_unsupported` or `public_key_…`: the key is no device key
   */
  async enroll(toEnroll: DeviceKeyToEnroll): Promise<EnrolledDeviceKey> {
    const { values, publicKey } = this.#newRow(toEnroll, null);
    const [row] = await this.#rows(
      `INSERT INTO device_keys (${insertedColumns}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
       ON CONFLICT DO NOTHING RETURNING *`,
      values,
    );
    if (row !== undefined) return keyOf(row);
    throw (await this.find(publicKey)) ? alreadyEnrolled() : clientAlreadyEnrolled();
  }

  /** The key with this public key, in force or revoked; undefined: it was never enrolled. */
  async find(publicKeySpkiDerBase64: string): Promise<EnrolledDeviceKey | undefined> {
    requireText('publicKeySpkiDerBase64', publicKeySpkiDerBase64);
    const [row] = await this.#rows('SELECT * FROM device_keys WHERE public_key_spki = $1', [
      publicKeySpkiDerBase64,
    ]);
    return row && keyOf(row);
  }

  /** The key of an account's client that is not revoked; undefined: there is none. */
  async inForce(owner: Owner): Promise<EnrolledDeviceKey | undefined> {
    const { accountUserId, clientId } = usableOwner(owner);
    const [row] = await this.#rows(
      `SELECT * FROM device_keys
       WHERE account_user_id = $1 AND client_id = $2 AND revoked_at IS NULL`,
      [accountUserId, clientId],
    );
    return row && keyOf(row);
  }

  /** All keys of an account, those revoked included, the oldest first. */
  async list(accountUserId: string): Promise<EnrolledDeviceKey[]> {
    requireId('accountUserId', accountUserId);
    const rows = await this.#rows(
      'SELECT * FROM device_keys WHERE account_user_id = $1 ORDER BY created_at, public_key_spki',
      [accountUserId],
    );
    return rows.map(keyOf);
  }

  /**
   * Writes down that the key has been used now. Call it after the proof has been verified, as the last
   * check of a connection: it refuses a key that was revoked meanwhile.
   *
   * @throws DeviceKeyVerificationError `key_revoked` or `key_not_enrolled`
   */
  async recordUse(publicKeySpkiDerBase64: string): Promise<void> {
    requireText('publicKeySpkiDerBase64', publicKeySpkiDerBase64);
    const rows = await this.#rows(
      `UPDATE device_keys SET last_used_at = $1
       WHERE public_key_spki = $2 AND revoked_at IS NULL RETURNING public_key_spki`,
      [this.#seconds(), publicKeySpkiDerBase64],
    );
    if (rows.length === 0) throw await this.#notInForce(publicKeySpkiDerBase64);
  }

  /**
   * Keeps what was proven about a key, in place of what was proven before.
   *
   * @throws DeviceKeyVerificationError `key_revoked` or `key_not_enrolled`
   */
  async recordAttestation(publicKeySpkiDerBase64: string, attestation: object): Promise<void> {
    requireText('publicKeySpkiDerBase64', publicKeySpkiDerBase64);
    const rows = await this.#rows(
      `UPDATE device_keys SET attestation = $1
       WHERE public_key_spki = $2 AND revoked_at IS NULL RETURNING public_key_spki`,
      [attestationText(attestation, publicKeySpkiDerBase64), publicKeySpkiDerBase64],
    );
    if (rows.length === 0) throw await this.#notInForce(publicKeySpkiDerBase64);
  }

  /**
   * Revokes a key for ever. The row stays, so the key cannot be enrolled again. End the open connections of
   * the key yourself.
   *
   * @returns true when this call revoked it, false when it was revoked before
   * @throws DeviceKeyVerificationError `key_not_enrolled`
   */
  async revoke(publicKeySpkiDerBase64: string): Promise<boolean> {
    requireText('publicKeySpkiDerBase64', publicKeySpkiDerBase64);
    const rows = await this.#rows(
      `UPDATE device_keys SET revoked_at = $1
       WHERE public_key_spki = $2 AND revoked_at IS NULL RETURNING public_key_spki`,
      [this.#seconds(), publicKeySpkiDerBase64],
    );
    if (rows.length > 0) return true;
    if (await this.find(publicKeySpkiDerBase64)) return false;
    throw notEnrolled();
  }

  /**
   * Replaces the client's key in force by its successor, in one transaction. The key in force has to
   * agree: it signs an enrollment statement whose `deviceIdentitySha256Base64url` is that of the successor.
   * Verify the successor's own enrollment proof before, as for {@link enroll}; it has another nonce.
   *
   * @param proof by the key in force, as the client sent it
   * @param challenge what the backend issued for that proof
   * @param options of {@link verifyDeviceKeyProof}
   * @throws DeviceKeyVerificationError `key_not_enrolled`: the client has no key in force; any code of
   *   {@link verifyDeviceKeyProof}; `key_revoked`: the key was revoked or rotated meanwhile;
   *   `key_already_enrolled`: the successor is enrolled, or was. Nothing has changed then.
   */
  async rotate(
    successor: DeviceKeyToEnroll,
    proof: DeviceKeySignResponse,
    challenge: RotationChallenge,
    options: VerifyDeviceKeyProofOptions,
  ): Promise<EnrolledDeviceKey> {
    const { accountUserId, clientId } = usableOwner(successor);
    const predecessor = await this.inForce({ accountUserId, clientId });
    if (predecessor === undefined) throw notEnrolled();
    const { publicKeySpkiDerBase64 } = predecessor;
    const { values, key } = this.#newRow(successor, publicKeySpkiDerBase64);
    const { nonce, challengeId, challengeExpiresAt, targetOrigin, targetPath } = readArgument(
      challenge,
      'challenge',
    ) as RotationChallenge;
    await verifyDeviceKeyProof(
      proof,
      {
        type: 'remoteControlClientEnrollment',
        audience: 'remote_control_client_enrollment',
        deviceIdentitySha256Base64url: deviceIdentitySha256(key),
        ...{ publicKeySpkiDerBase64, accountUserId, clientId },
        ...{ nonce, challengeId, challengeExpiresAt, targetOrigin, targetPath },
      },
      options,
    );
    const row = await this.#answer(() =>
      this.replace(publicKeySpkiDerBase64, values, this.#seconds()),
    );
    if (row === 'not_in_force') throw await this.#notInForce(publicKeySpkiDerBase64);
    if (row === 'already_enrolled') throw alreadyEnrolled();
    return keyOf(row);
  }

  /** What {@link insertedColumns} get, after all checks of what the client and the backend say. */
  #newRow(toEnroll: DeviceKeyToEnroll, predecessor: string | null) {
    const { key: given, attestation = null } = readArgument(toEnroll, 'the key to enroll');
    const { accountUserId, clientId } = usableOwner(toEnroll);
    const key = usableKey(given);
    const { publicKeySpkiDerBase64: publicKey, keyId, protectionClass } = key;
    const values: SqlValue[] = [
      ...[publicKey, keyId, accountUserId, clientId, protectionClass],
      attestation === null ? null : attestationText(attestation, publicKey),
      this.#seconds(),
      predecessor,
    ];
    return { values, key, publicKey };
  }

  async #notInForce(publicKey: string): Promise<DeviceKeyVerificationError> {
    if ((await this.find(publicKey)) === undefined) return notEnrolled();
    return new DeviceKeyVerificationError('key_revoked', 'the key is revoked');
  }

  #rows(sql: string, values: SqlValue[]): Promise<KeyRow[]> {
    return this.#answer(() => this.rows(sql, values));
  }

  async #answer<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (cause) {
      throw new DeviceKeyVerificationError(
        'key_registry_failed',
        'the database of the key registry could not answer',
        { cause },
      );
    }
  }

  #seconds(): number {
    return Math.floor(this.#now());
  }
}

function alreadyEnrolled(): DeviceKeyVerificationError {
  return new DeviceKeyVerificationError(
    'key_already_enrolled',
    'the public key is enrolled, or was: a new enrollment needs a new key',
  );
}

function clientAlreadyEnrolled(): DeviceKeyVerificationError {
  return new DeviceKeyVerificationError(
    'client_already_enrolled',
    'the client has a key in force: rotate or revoke that key',
  );
}

function notEnrolled(): DeviceKeyVerificationError {
  return new DeviceKeyVerificationError('key_not_enrolled', 'there is no such key');
}

function keyOf(row: KeyRow): EnrolledDeviceKey {
  // `pg` returns a bigint as text.
  const seconds = (value: unknown) => (value === null ? null : Number(value));
  const { attestation, created_at, last_used_at, revoked_at } = row;
  return {
    publicKeySpkiDerBase64: row.public_key_spki as string,
    keyId: row.key_id as string,
    accountUserId: row.account_user_id as string,
    clientId: row.client_id as string,
    protectionClass: row.protection_class as DeviceKeyProtectionClass,
    attestation: attestation === null ? null : (JSON.parse(attestation as string) as unknown),
    createdAt: Number(created_at),
    lastUsedAt: seconds(last_used_at),
    revokedAt: seconds(revoked_at),
    predecessorSpkiDerBase64: row.predecessor_spki as string | null,
  };
}

function requireText(name: string, value: unknown): asserts value is string {
  if (typeof value !== 'string') throw new TypeError(`${name} must be a string`);
}

function usableOwner(owner: Owner): Owner {
  const { accountUserId, clientId } = readArgument(owner, 'the owner');
  requireId('accountUserId', accountUserId);
  requireId('clientId', clientId);
  return { accountUserId, clientId };
}

/**
 * Refuses ids that a database would change or refuse. PostgreSQL has no NUL in text and a limit on what an
 * index holds; a lone surrogate becomes U+FFFD on its way to a database, so two ids would become one.
 */
function requireId(name: string, value: unknown): asserts value is string {
  if (
    typeof value !== 'string' ||
    value === '' ||
    value.includes('\0') ||
    /\p{Surrogate}/u.test(value) ||
    Buffer.byteLength(value) > 1024
  ) {
    throw new TypeError(
      `${name} must be a string of 1 to 1024 bytes of UTF-8 without NUL and lone surrogates`,
    );
  }
}

const KEY_ID_PREFIX: Record<DeviceKeyProtectionClass, string> = {
  hardware_secure_enclave: 'dk_hse_',
  hardware_tpm: 'dk_tpm_',
  os_protected_nonextractable: 'dk_osn_',
};

function usableKey(given: DeviceKeyPublicResponse | undefined): DeviceKeyPublicResponse {
  const malformed = (what: string) => new DeviceKeyVerificationError('device_key_malformed', what);
  if (typeof given !== 'object' || (given as unknown) === null) {
    throw malformed('key must be an object');
  }
  let key: DeviceKeyPublicResponse;
  try {
    key = ownMembers(given) as DeviceKeyPublicResponse;
  } catch {
    throw malformed('key must be an object whose members can be read');
  }
  const { algorithm, keyId, protectionClass, publicKeySpkiDerBase64 } = key;
  for (const name of ['keyId', 'protectionClass', 'publicKeySpkiDerBase64'] as const) {
    if (typeof key[name] !== 'string') throw malformed(`key.${name} must be a string`);
  }
  if ((algorithm as unknown) !== 'ecdsa_p256_sha256') {
    throw new DeviceKeyVerificationError(
      'algorithm_unsupported',
      'key.algorithm must be ecdsa_p256_sha256',
    );
  }
  if (!Object.hasOwn(KEY_ID_PREFIX, protectionClass)) {
    throw malformed('key.protectionClass must be a protection class');
  }
  const prefix = KEY_ID_PREFIX[protectionClass];
  if (!keyId.startsWith(prefix) || base64UrlByteLength(keyId.slice(prefix.length)) !== 32) {
    throw malformed(`key.keyId must be ${prefix} and 32 bytes in unpadded base64url`);
  }
  importPublicKey(publicKeySpkiDerBase64);
  return { algorithm, keyId, protectionClass, publicKeySpkiDerBase64 };
}

function attestationText(attestation: object, publicKey: string): string {
  if (typeof attestation !== 'object' || (attestation as unknown) === null) {
    throw new TypeError('attestation must be an object');
  }
  // A TpmKeyProof names the key that it is about.
  const { publicKeySpkiDerBase64: about = publicKey } = readArgument(
    attestation,
    'attestation',
  ) as { publicKeySpkiDerBase64?: unknown };
  if (about !== publicKey) throw new TypeError('attestation must be about the key');
  try {
    return toJson(attestation, 'attestation');
  } catch (cause) {
    throw new TypeError('attestation must be an object that JSON can express', { cause });
  }
}
