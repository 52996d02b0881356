// The schemas under types/schema/v2 are the protocol; the TypeScript types are generated from them.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import Ajv from 'ajv';

const root = path.join(__dirname, '../..');
const sets = ['v2', 'extensions'];

interface Schema {
  $schema?: string;
  $ref?: string;
  title?: string;
  description?: string;
  type?: string;
  format?: string;
  enum?: string[];
  items?: Schema;
  required?: string[];
  properties?: Record<string, Schema>;
  definitions?: Record<string, Schema>;
  oneOf?: Schema[];
  anyOf?: Schema[];
}

/** The file of each schema, by name. */
const files = new Map<string, string>();
for (const set of sets) {
  const directory = path.join(root, 'types/schema', set);
  for (const file of fs.readdirSync(directory)) {
    files.set(path.basename(file, '.json'), path.join(directory, file));
  }
}
const names = [...files.keys()];

function load(name: string): Schema {
  return JSON.parse(fs.readFileSync(files.get(name)!, 'utf8')) as Schema;
}

function members(schema: Schema): string[] {
  return Object.keys(schema.properties ?? {});
}

function payloadVariants(): Schema[] {
  return load('DeviceKeySignParams').definitions?.DeviceKeySignPayload?.oneOf ?? [];
}

function runGenerator(directory: string) {
  const script = path.join(directory, 'scripts/generate-types.mjs');
  return spawnSync(process.execPath, [script, '--check'], { encoding: 'utf8' });
}

describe('the generated types', () => {
  test('equal the output of the generator', () => {
    const { status, stderr } = runGenerator(root);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });

  test('are called stale once a schema has changed', () => {
    const copy = fs.mkdtempSync(path.join(os.tmpdir(), 'device-key-types-'));
    try {
      for (const part of ['types', 'scripts/generate-types.mjs', '.prettierrc.json']) {
        fs.cpSync(path.join(root, part), path.join(copy, part), { recursive: true });
      }
      fs.symlinkSync(path.join(root, 'node_modules'), path.join(copy, 'node_modules'));
      expect(runGenerator(copy).status).toBe(0);

      const file = path.join(copy, 'types/schema/v2/DeviceKeyPublicParams.json');
      const schema = JSON.parse(fs.readFileSync(file, 'utf8')) as Schema;
      fs.writeFileSync(file, JSON.stringify({ ...schema, required: [] }));
      const { status, stderr } = runGenerator(copy);
      expect(status).toBe(1);
      expect(stderr).toContain('npm run generate');
    } finally {
      fs.rmSync(copy, { recursive: true });
    }
  });

  test('are each exported once, under the names of the protocol', () => {
    const generated = sets
      .map((set) => fs.readFileSync(path.join(root, `types/${set}.d.ts`), 'utf8'))
      .join('');
    const exported = [...generated.matchAll(/^export (?:type|interface) (\w+)/gm)].map(
      ([, name]) => name,
    );
    expect(exported.sort()).toEqual([
      'DeviceKeyActivateAttestationParams',
      'DeviceKeyActivateAttestationResponse',
      'DeviceKeyAlgorithm',
      'DeviceKeyAttestParams',
      'DeviceKeyAttestation',
      'DeviceKeyCreateParams',
      'DeviceKeyCreateResponse',
      'DeviceKeyEndorsementKey',
      'DeviceKeyProtectionClass',
      'DeviceKeyProtectionPolicy',
      'DeviceKeyPublicParams',
      'DeviceKeyPublicResponse',
      'DeviceKeySignParams',
      'DeviceKeySignPayload',
      'DeviceKeySignResponse',
      'RemoteControlClientConnectionAudience',
      'RemoteControlClientConnectionDeviceKeySignPayload',
      'RemoteControlClientConnectionDeviceKeySignPayloadType',
      'RemoteControlClientEnrollmentAudience',
      'RemoteControlClientEnrollmentDeviceKeySignPayload',
      'RemoteControlClientEnrollmentDeviceKeySignPayloadType',
    ]);
  });
});

describe('the schemas', () => {
  test.each([
    ['DeviceKeyCreateParams', ['accountUserId', 'clientId'], ['protectionPolicy']],
    [
      'DeviceKeyCreateResponse',
      ['keyId', 'publicKeySpkiDerBase64', 'algorithm', 'protectionClass'],
      [],
    ],
    ['DeviceKeyPublicParams', ['keyId'], []],
    [
      'DeviceKeyPublicResponse',
      ['keyId', 'publicKeySpkiDerBase64', 'algorithm', 'protectionClass'],
      [],
    ],
    ['DeviceKeySignParams', ['keyId', 'payload'], []],
    ['DeviceKeySignResponse', ['algorithm', 'signatureDerBase64', 'signedPayloadBase64'], []],
    ['DeviceKeyAttestParams', ['keyId', 'challenge'], []],
    [
      'DeviceKeyAttestation',
      [
        ...['format', 'keyId', 'attest', 'signature', 'keyPublicArea', 'attestationKeyPublicArea'],
        'endorsementKeys',
      ],
      [],
    ],
    ['DeviceKeyActivateAttestationParams', ['keyId', 'credentialBlob', 'encryptedSecret'], []],
    ['DeviceKeyActivateAttestationResponse', ['secret'], []],
  ])('%s has its members', (name, required, optional) => {
    const schema = load(name);
    expect(schema.title).toBe(name);
    expect(schema.$schema).toBe('http://json-schema.org/draft-07/schema#');
    expect(schema.required).toEqual(required);
    expect(members(schema)).toEqual([...required, ...optional]);
  });

  test('are six, and four of this package', () => {
    const counts = sets.map((set) => fs.readdirSync(path.join(root, 'types/schema', set)).length);
    expect(counts).toEqual([6, 4]);
  });

  test('are valid draft-07, and every $ref leads somewhere', () => {
    for (const name of names) {
      const ajv = new Ajv({ strict: true, allowUnionTypes: true, formats: { int64: true } });
      expect(() => ajv.compile(load(name))).not.toThrow();
    }
  });

  test('name each definition by its title', () => {
    for (const name of names) {
      for (const [key, definition] of Object.entries(load(name).definitions ?? {})) {
        expect(definition.title).toBe(key);
      }
    }
  });

  test('share definitions that are identical', () => {
    const seen = new Map<string, Schema>();
    for (const name of names) {
      for (const [key, definition] of Object.entries(load(name).definitions ?? {})) {
        expect({ [key]: definition }).toEqual({ [key]: seen.get(key) ?? definition });
        seen.set(key, definition);
      }
    }
    expect([...seen.keys()].sort()).toEqual([
      'DeviceKeyAlgorithm',
      'DeviceKeyEndorsementKey',
      'DeviceKeyProtectionClass',
      'DeviceKeyProtectionPolicy',
      'DeviceKeySignPayload',
      'RemoteControlClientConnectionAudience',
      'RemoteControlClientEnrollmentAudience',
    ]);
  });

  test('describe key ids the same way everywhere', () => {
    const keyIds = names.map((name) => load(name).properties?.keyId).filter(Boolean);
    expect(keyIds).toHaveLength(7);
    for (const keyId of keyIds) expect(keyId).toEqual(keyIds[0]);
  });

  test('describe every type, and every member without a named type', () => {
    const undescribed: string[] = [];
    const visit = (schema: Schema, where: string) => {
      if (!schema.description && !schema.$ref) undescribed.push(where);
      for (const [key, member] of Object.entries(schema.properties ?? {})) {
        visit(member, `${where}.${key}`);
      }
      for (const [key, definition] of Object.entries(schema.definitions ?? {})) {
        visit(definition, `${where}#${key}`);
      }
      for (const variant of schema.oneOf ?? []) visit(variant, `${where}|${variant.title}`);
    };
    for (const name of names) visit(load(name), name);
    expect(undescribed).toEqual([]);
  });

  test('let the protection policy be null', () => {
    expect(load('DeviceKeyCreateParams').properties?.protectionPolicy?.anyOf).toEqual([
      { $ref: '#/definitions/DeviceKeyProtectionPolicy' },
      { type: 'null' },
    ]);
  });

  test('list the algorithm, the protection classes and the policies', () => {
    const { DeviceKeyAlgorithm, DeviceKeyProtectionClass } =
      load('DeviceKeyCreateResponse').definitions ?? {};
    expect(DeviceKeyAlgorithm?.enum).toEqual(['ecdsa_p256_sha256']);
    expect(DeviceKeyProtectionClass?.enum).toEqual([
      'hardware_secure_enclave',
      'hardware_tpm',
      'os_protected_nonextractable',
    ]);
    const { DeviceKeyProtectionPolicy } = load('DeviceKeyCreateParams').definitions ?? {};
    expect(DeviceKeyProtectionPolicy?.enum).toEqual([
      'hardware_only',
      'allow_os_protected_nonextractable',
    ]);
  });

  test('offer two payloads, distinguished by their type', () => {
    expect(payloadVariants().map((variant) => [variant.title, variant.properties?.type])).toEqual([
      [
        'RemoteControlClientConnectionDeviceKeySignPayload',
        expect.objectContaining({
          title: 'RemoteControlClientConnectionDeviceKeySignPayloadType',
          enum: ['remoteControlClientConnection'],
        }),
      ],
      [
        'RemoteControlClientEnrollmentDeviceKeySignPayload',
        expect.objectContaining({
          title: 'RemoteControlClientEnrollmentDeviceKeySignPayloadType',
          enum: ['remoteControlClientEnrollment'],
        }),
      ],
    ]);
  });

  test('require every member of a payload', () => {
    const [connection, enrollment] = payloadVariants();
    expect(connection?.required).toEqual(members(connection ?? {}));
    expect(enrollment?.required).toEqual(members(enrollment ?? {}));
    expect(members(connection ?? {})).toEqual([
      'type',
      'nonce',
      'audience',
      'sessionId',
      'targetOrigin',
      'targetPath',
      'accountUserId',
      'clientId',
      'tokenExpiresAt',
      'tokenSha256Base64url',
      'scopes',
    ]);
    expect(members(enrollment ?? {})).toEqual([
      'type',
      'nonce',
      'audience',
      'challengeId',
      'targetOrigin',
      'targetPath',
      'accountUserId',
      'clientId',
      'deviceIdentitySha256Base64url',
      'challengeExpiresAt',
    ]);
  });

  test('have times as int64', () => {
    const [connection, enrollment] = payloadVariants();
    const int64: unknown = expect.objectContaining({ type: 'integer', format: 'int64' });
    expect(connection?.properties?.tokenExpiresAt).toEqual(int64);
    expect(enrollment?.properties?.challengeExpiresAt).toEqual(int64);
  });
});
