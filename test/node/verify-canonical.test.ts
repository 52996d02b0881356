import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import fc from 'fast-check';

import { verifyDeviceKeyProof, type ExpectedProof } from '../../lib/verify';
import {
  codeOf,
  connectionPayload,
  expectedConnection,
  EXPIRY,
  optionsAt,
  signer,
} from '../support/proof-fixtures';
import { canonicalText } from '../support/software-signer';

const { vectors } = JSON.parse(
  readFileSync(join(__dirname, '../vectors/signed-payload.json'), 'utf8'),
) as {
  vectors: { name: string; payload: Record<string, unknown>; signedPayloadUtf8: string }[];
};

const canonical = canonicalText(connectionPayload);

/** The code for bytes that the key has signed, so only their form can be wrong. */
const codeOfSigned = (bytes: Uint8Array | string) =>
  codeOf(() => verifyDeviceKeyProof(signer.sign(bytes), expectedConnection, optionsAt()));

test.each(vectors)('shared vector: $name', async ({ payload, signedPayloadUtf8 }) => {
  const members = { ...payload };
  delete members.extra;
  const expiry = (payload.tokenExpiresAt ?? payload.challengeExpiresAt) as number;
  const { publicKeySpkiDerBase64 } = signer;
  const expected = { publicKeySpkiDerBase64, ...members } as unknown as ExpectedProof;
  const proof = signer.sign(signedPayloadUtf8);
  const options = optionsAt(expiry - 60, { clockSkewSeconds: 0 });
  expect(await verifyDeviceKeyProof(proof, expected, options)).toEqual(members);
});

test('the unchanged canonical text is accepted', async () => {
  expect(await codeOfSigned(canonical)).toBeUndefined();
});

describe('the same statement in another form is refused', () => {
  const replaced = (from: string, to: string) => {
    expect(canonical).toContain(from);
    return canonical.replace(from, () => to);
  };
  const { accountUserId, ...others } = connectionPayload;
  const domain = '"domain":"codex-device-key-sign-payload/v1"';

  test.each([
    [
      'payload members reordered',
      () =>
        JSON.stringify({
          ...JSON.parse(canonical),
          payload: { ...others, accountUserId },
        }),
    ],
    [
      'envelope reordered',
      () => `{${canonical.slice(canonical.indexOf('"payload"'), -1)},${domain}}`,
    ],
    ['indented', () => JSON.stringify(JSON.parse(canonical), null, 2)],
    ['a space after a colon', () => replaced('"domain":', '"domain": ')],
    ['a space after a comma', () => replaced(',"payload"', ', "payload"')],
    ['a leading space', () => ` ${canonical}`],
    ['a trailing space', () => `${canonical} `],
    ['a trailing newline', () => `${canonical}\n`],
    ['a trailing carriage return and newline', () => `${canonical}\r\n`],
    ['a tab within an array', () => replaced('["remote', '[\t"remote')],
    ['an escaped letter in a value', () => replaced('cli_42', '\\u0063li_42')],
    ['an escaped letter in a name', () => replaced('"clientId"', '"\\u0063lientId"')],
    ['an escaped solidus', () => replaced('https://chatgpt', 'https:\\/\\/chatgpt')],
    ['the expiry with an exponent', () => replaced(`${EXPIRY}`, '18000006e2')],
    ['the expiry with a capital exponent', () => replaced(`${EXPIRY}`, '18000006E2')],
    ['the expiry with a signed exponent', () => replaced(`${EXPIRY}`, '18000006e+2')],
    ['the expiry with a fraction of zero', () => replaced(`${EXPIRY}`, `${EXPIRY}.0`)],
    ['the expiry rounded to itself', () => replaced(`${EXPIRY}`, `${EXPIRY}.00000000000000001`)],
    [
      'a member twice, alike',
      () => replaced('"clientId":"cli_42"', '"clientId":"cli_42","clientId":"cli_42"'),
    ],
    [
      'a member twice, the last as expected',
      () => replaced('"clientId":"cli_42"', '"clientId":"other","clientId":"cli_42"'),
    ],
    [
      'a member twice, once escaped',
      () => replaced('"clientId":"cli_42"', '"\\u0063lientId":"other","clientId":"cli_42"'),
    ],
    ['the domain twice', () => replaced(domain, `"domain":"other",${domain}`)],
    ['the payload twice', () => replaced('"payload":', '"payload":{"type":"other"},"payload":')],
  ])('%s', async (_name, text) => {
    expect(JSON.parse(text())).toEqual(JSON.parse(canonical));
    expect(await codeOfSigned(text())).toBe('payload_not_canonical');
  });

  test('with an upper-case or a needless escape of a control character', async () => {
    const expected = { ...expectedConnection, sessionId: '\u001f\b' };
    const text = canonicalText({ ...connectionPayload, sessionId: '\u001f\b' });
    const codeOfText = (text: string) =>
      codeOf(() => verifyDeviceKeyProof(signer.sign(text), expected, optionsAt()));
    expect(await codeOfText(text)).toBeUndefined();
    expect(await codeOfText(text.replace('\\u001f', '\\u001F'))).toBe('payload_not_canonical');
    expect(await codeOfText(text.replace('\\b', '\\u0008'))).toBe('payload_not_canonical');
  });
});

describe('bytes that are not UTF-8 JSON are refused', () => {
  const bytes = Buffer.from(canonical);
  const withBytes = (hex: string) => {
    const at = bytes.indexOf('cli_42');
    return Buffer.concat([bytes.subarray(0, at), Buffer.from(hex, 'hex'), bytes.subarray(at)]);
  };

  test.each([
    ['a stray continuation byte', '80'],
    ['a cut sequence', 'e697'],
    ['an overlong solidus', 'c0af'],
    ['an overlong NUL', 'c080'],
    ['an encoded surrogate', 'eda080'],
    ['a code point beyond Unicode', 'f4908080'],
    ['Latin-1', 'e9'],
  ])('%s', async (_name, hex) => {
    expect(await codeOfSigned(withBytes(hex))).toBe('payload_not_utf8');
  });

  test('UTF-16', async () => {
    expect(await codeOfSigned(Buffer.from(canonical, 'utf16le'))).toBe('payload_not_json');
    expect(await codeOfSigned(Buffer.from(`\ufeff${canonical}`, 'utf16le'))).toBe(
      'payload_not_utf8',
    );
  });

  test.each([
    ['nothing', ''],
    ['a byte order mark', `\ufeff${canonical}`],
    ['a second statement', canonical + canonical],
    ['a cut statement', canonical.slice(0, -1)],
    ['a trailing NUL', `${canonical}\0`],
    ['a raw control character', canonical.replace('cli_42', 'cli\n42')],
    ['a trailing comma', canonical.replace('}}', ',}}')],
    ['a comment', `${canonical}//`],
    ['a leading zero', canonical.replace(`${EXPIRY}`, `0${EXPIRY}`)],
    ['a plus sign', canonical.replace(`${EXPIRY}`, `+${EXPIRY}`)],
    ['NaN', canonical.replace(`${EXPIRY}`, 'NaN')],
  ])('%s', async (_name, text) => {
    expect(await codeOfSigned(text)).toBe('payload_not_json');
  });

  test('nesting that exhausts a parser', async () => {
    expect(await codeOfSigned('['.repeat(500_000))).toBe('payload_not_json');
    const closed = '['.repeat(200_000) + ']'.repeat(200_000);
    expect(await codeOfSigned(closed)).toMatch(/^payload_/);
  });
});

describe('JSON that is not a statement of the type is refused', () => {
  const domain = 'codex-device-key-sign-payload/v1';

  test.each(['', 'codex-device-key-sign-payload/v2', 'codex-device-key-sign-payload', null, 1])(
    'domain %j',
    async (domain) => {
      const text = JSON.stringify({ domain, payload: connectionPayload });
      expect(await codeOfSigned(text)).toBe('domain_mismatch');
    },
  );

  test.each([
    ['null', null],
    ['a number', 1],
    ['a string', canonical],
    ['an array', [domain, connectionPayload]],
    ['the payload alone', connectionPayload],
    ['an envelope without payload', { domain }],
    ['an envelope without domain', { payload: connectionPayload }],
    ['an envelope with a third member', { domain, payload: connectionPayload, zzz: 1 }],
    ['a payload that is null', { domain, payload: null }],
    ['a payload that is an array', { domain, payload: [] }],
    ['a payload that is text', { domain, payload: JSON.stringify(connectionPayload) }],
  ])('%s', async (_name, value) => {
    expect(await codeOfSigned(JSON.stringify(value))).toBe('payload_malformed');
  });

  test.each(Object.keys(connectionPayload).filter((member) => member !== 'type'))(
    '%s absent or of another type',
    async (member) => {
      for (const value of [undefined, null, true, {}, 1.5, [1], [null]]) {
        const text = canonicalText({ ...connectionPayload, [member]: value });
        expect(await codeOfSigned(text)).toBe('payload_malformed');
      }
    },
  );

  test.each([2 ** 53, -(2 ** 53), 1e300])('an expiry of %p', async (tokenExpiresAt) => {
    const text = canonicalText({ ...connectionPayload, tokenExpiresAt });
    expect(await codeOfSigned(text)).toBe('payload_malformed');
  });

  test('an expiry of minus zero', async () => {
    const text = canonical.replace(`${EXPIRY}`, '-0');
    expect(await codeOfSigned(text)).toBe('payload_not_canonical');
  });

  test.each(['zzz', '', '0', 'toString', 'challengeId'])('a member %j too many', async (name) => {
    const text = canonicalText({ ...connectionPayload, [name]: 'x' });
    expect(await codeOfSigned(text)).toBe('payload_malformed');
  });

  test('a member named __proto__', async () => {
    const text = canonical.replace('"payload":{', '"payload":{"__proto__":{},');
    expect(await codeOfSigned(text)).toBe('payload_malformed');
    const inherited = canonical.replace('"clientId":"cli_42"', '"__proto__":{"clientId":"cli_42"}');
    expect(await codeOfSigned(inherited)).toBe('payload_malformed');
  });

  test.each(['\\ud800', '\\udc00', '\\udc00\\ud800', '\\ud83dx', '\\uD800'])(
    'a lone surrogate written %s',
    async (escape) => {
      expect(await codeOfSigned(canonical.replace('cli_42', () => escape))).toBe(
        'payload_malformed',
      );
    },
  );
});

describe('generated statements', () => {
  const wellFormed = fc
    .string({ unit: 'binary', minLength: 1, maxLength: 40 })
    .filter((text) => !/\p{Surrogate}/u.test(text));

  test('any statement in canonical form is accepted and returned unchanged', async () => {
    await fc.assert(
      fc.asyncProperty(wellFormed, wellFormed, wellFormed, async (sessionId, clientId, scope) => {
        const changes = { sessionId, clientId, scopes: [scope] };
        const expected = { ...expectedConnection, ...changes };
        const statement = { ...connectionPayload, ...changes };
        const proof = signer.signPayload(statement);
        expect(await verifyDeviceKeyProof(proof, expected, optionsAt())).toEqual(statement);
      }),
    );
  });

  test('the signed text is refused after any single edit', async () => {
    const position = fc.nat({ max: canonical.length });
    const edits = fc.tuple(position, fc.nat({ max: 3 }), fc.string({ maxLength: 3 }));
    await fc.assert(
      fc.asyncProperty(edits, async ([at, removed, inserted]) => {
        const edited = canonical.slice(0, at) + inserted + canonical.slice(at + removed);
        fc.pre(edited !== canonical);
        expect(await codeOfSigned(edited)).toEqual(expect.any(String));
      }),
      { numRuns: 500 },
    );
  });

  test('any JSON causes a typed error, never a crash', async () => {
    await fc.assert(
      fc.asyncProperty(fc.json({ maxDepth: 5 }), async (text) => {
        expect(await codeOfSigned(text)).toMatch(/^payload_/);
      }),
    );
  });
});
