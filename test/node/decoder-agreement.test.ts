// The native decoder accepts exactly the documents that the schemas accept, and so does the decoder in
// TypeScript that node-device-key/testing uses.
//
// Ajv is the reference. It checks the parsed document, the decoder the text; the generators make
// only texts that both read the same way. Properties of texts only (duplicate members, lone
// surrogates, integers that a double rounds) are tested with the decoder, in test/native/protocol.
import fs from 'node:fs';
import path from 'node:path';
import Ajv, { type ValidateFunction } from 'ajv';
import fc from 'fast-check';
import { DeviceKeyError } from '../../dist/errors';
import { loadNative } from '../../dist/native';
import {
  decodeCreateParams,
  decodePublicParams,
  decodeSignParams,
} from '../../dist/protocol/decode';

type Kind = 'create' | 'public' | 'sign';
type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
type JsonObject = { [key: string]: Json };

const ajv = new Ajv({ strict: true });
ajv.addFormat('int64', {
  type: 'number',
  // JavaScript writes the double -2^63 as -9223372036854776000, which is not an int64.
  validate: (value) => value > -(2 ** 63) && value < 2 ** 63,
});

function compile(name: string): ValidateFunction {
  const file = path.join(__dirname, '../../types/schema/v2', `${name}.json`);
  return ajv.compile(JSON.parse(fs.readFileSync(file, 'utf8')) as object);
}

const schemas: Record<Kind, ValidateFunction> = {
  create: compile('DeviceKeyCreateParams'),
  public: compile('DeviceKeyPublicParams'),
  sign: compile('DeviceKeySignParams'),
};

function schemaAccepts(kind: Kind, text: string): boolean {
  return schemas[kind](JSON.parse(text));
}

interface Refusal {
  code: string;
  message: string;
}

/** The error of the native decoder, or undefined. */
function nativeRefusal(kind: Kind, text: string): Refusal | undefined {
  try {
    loadNative().checkShape(kind, text);
    return undefined;
  } catch (error) {
    const { code, message } = error as Refusal;
    expect(['invalid_params', 'invalid_payload']).toContain(code);
    expect(message).toContain('expected');
    return { code, message };
  }
}

const decoders: Record<Kind, (params: unknown) => unknown> = {
  create: decodeCreateParams,
  public: decodePublicParams,
  sign: decodeSignParams,
};

/** The error of the decoder in TypeScript, or undefined. */
function refusal(kind: Kind, text: string): Refusal | undefined {
  try {
    decoders[kind](JSON.parse(text));
    return undefined;
  } catch (error) {
    if (!(error instanceof DeviceKeyError)) throw error;
    return { code: error.code, message: error.message };
  }
}

function decoderAccepts(kind: Kind, text: string): boolean {
  const refused = nativeRefusal(kind, text);
  // If there are several errors, the two decoders may name different ones.
  expect(refusal(kind, text)?.code).toBe(refused?.code);
  return refused === undefined;
}

// "binary" is any code point except a surrogate.
const anyString = fc.string({ unit: 'binary', maxLength: 12 });

const keyId = fc
  .tuple(
    fc.constantFrom('dk_hse_', 'dk_tpm_', 'dk_osn_'),
    fc.uint8Array({ minLength: 32, maxLength: 32 }),
  )
  .map(([prefix, bytes]) => prefix + Buffer.from(bytes).toString('base64url'));

const int64 = fc.oneof(
  fc.integer(),
  fc.maxSafeInteger(),
  fc.constantFrom(0, -0, 2 ** 53, 2 ** 62, 2 ** 63 - 1024, -(2 ** 63) + 1024),
);

const payload = fc.oneof(
  fc.record({
    type: fc.constant('remoteControlClientConnection'),
    nonce: anyString,
    audience: fc.constant('remote_control_client_websocket'),
    sessionId: anyString,
    targetOrigin: anyString,
    targetPath: anyString,
    accountUserId: anyString,
    clientId: anyString,
    tokenExpiresAt: int64,
    tokenSha256Base64url: anyString,
    scopes: fc.array(anyString, { maxLength: 3 }),
  }),
  fc.record({
    type: fc.constant('remoteControlClientEnrollment'),
    nonce: anyString,
    audience: fc.constant('remote_control_client_enrollment'),
    challengeId: anyString,
    targetOrigin: anyString,
    targetPath: anyString,
    accountUserId: anyString,
    clientId: anyString,
    deviceIdentitySha256Base64url: anyString,
    challengeExpiresAt: int64,
  }),
);

const valid: Record<Kind, fc.Arbitrary<JsonObject>> = {
  create: fc.record(
    {
      accountUserId: anyString,
      clientId: anyString,
      protectionPolicy: fc.constantFrom(null, 'hardware_only', 'allow_os_protected_nonextractable'),
    },
    { requiredKeys: ['accountUserId', 'clientId'] },
  ),
  public: fc.record({ keyId }),
  sign: fc.record({ keyId, payload }),
};

const anyJson = fc.jsonValue({ stringUnit: 'binary', maxDepth: 4 }) as fc.Arbitrary<Json>;

// Values that are valid for some member, nearly valid for one, or of another type.
const otherValue: fc.Arbitrary<Json> = fc.oneof(
  anyJson,
  anyString,
  keyId,
  keyId.map((id) => id.slice(0, -1) + 'B'),
  keyId.map((id) => id + '\n'),
  keyId.map((id) => id.toUpperCase()),
  int64,
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.constantFrom<Json[]>(
    null,
    true,
    '',
    0.5,
    2 ** 63,
    -(2 ** 63),
    1e300,
    -1e300,
    [],
    [''],
    [null],
    ['', 1],
    {},
    'hardware_only',
    'allow_os_protected_nonextractable',
    'remoteControlClientConnection',
    'remoteControlClientEnrollment',
    'remote_control_client_websocket',
    'remote_control_client_enrollment',
  ),
);

type Mutation = (object: JsonObject, member: string) => void;

const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.constant<Mutation>((object, member) => {
    delete object[member];
  }),
  otherValue.map<Mutation>((value) => (object, member) => {
    object[member] = value;
  }),
  otherValue.map<Mutation>((value) => (object, member) => {
    object[`${member}2`] = value; // unknown to the schemas
  }),
  fc.constant<Mutation>((object, member) => {
    object[member.toUpperCase()] = object[member] ?? null;
    delete object[member];
  }),
);

// A valid document with one member changed, in the request or in its payload.
function nearlyValid(kind: Kind): fc.Arbitrary<JsonObject> {
  return fc
    .tuple(valid[kind], mutation, fc.nat(), fc.boolean())
    .map(([original, mutate, choice, within]) => {
      const document = structuredClone(original);
      const object = within && document.payload ? (document.payload as JsonObject) : document;
      const names = Object.keys(object);
      mutate(object, names[choice % names.length] ?? '');
      return document;
    });
}

describe.each<Kind>(['create', 'public', 'sign'])('for device/key/%s', (kind) => {
  const agree = (text: string) => {
    expect(decoderAccepts(kind, text)).toBe(schemaAccepts(kind, text));
  };

  test('schema and decoder accept valid documents', () => {
    fc.assert(
      fc.property(valid[kind], (document) => {
        const text = JSON.stringify(document);
        expect([schemaAccepts(kind, text), decoderAccepts(kind, text)]).toEqual([true, true]);
      }),
      { numRuns: 1000 },
    );
  });

  test('schema and decoder agree on nearly valid documents', () => {
    fc.assert(
      fc.property(nearlyValid(kind), (document) => agree(JSON.stringify(document))),
      { numRuns: 5000 },
    );
  });

  test('schema and decoder agree on arbitrary documents', () => {
    fc.assert(
      fc.property(anyJson, (document) => agree(JSON.stringify(document))),
      { numRuns: 2000 },
    );
  });
});

test('schema and decoder agree on every notation of a number', () => {
  const number = fc
    .tuple(
      fc.integer(),
      fc.constantFrom('', '.0', '.000', '.5', '.001', 'e0', 'E+2', '.0e1', '.25e2', '0e-1', '5e-1'),
    )
    .map(([integer, notation]) => `${integer}${notation}`)
    .filter((written) => !/^-?0\d/.test(written)); // no JSON
  fc.assert(
    fc.property(valid.sign, number, (document, written) => {
      const payload = document.payload as JsonObject;
      const member = 'tokenExpiresAt' in payload ? 'tokenExpiresAt' : 'challengeExpiresAt';
      const text = JSON.stringify({ ...document, payload: { ...payload, [member]: '@' } }).replace(
        `"${member}":"@"`,
        `"${member}":${written}`,
      );
      expect(decoderAccepts('sign', text)).toBe(schemaAccepts('sign', text));
    }),
    { numRuns: 2000 },
  );
});
