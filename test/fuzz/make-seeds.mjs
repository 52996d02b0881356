// Writes the seeds of the fuzz targets, test/fuzz/seeds/<target>/*, from the test vectors:
//
//   node test/fuzz/make-seeds.mjs
//
// The seed of tpm_answers is recorded from swtpm:
//
//   cmake --build build-fuzz --target record_tpm_answers
//   build-fuzz/test/fuzz/record_tpm_answers >test/fuzz/seeds/tpm_answers/all
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const here = import.meta.dirname;
const vectors = (name) => JSON.parse(readFileSync(join(here, '../vectors', name), 'utf8')).vectors;

function seed(target, name, content) {
  const file = join(here, 'seeds', target, name);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(
    file,
    typeof content === 'object' && !Buffer.isBuffer(content) ? JSON.stringify(content) : content,
  );
}

const keyId = 'dk_tpm_q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA';
const protectionPolicy = 'allow_os_protected_nonextractable';

seed('request', 'create', { accountUserId: 'user-7f3a', clientId: 'cli_42', protectionPolicy });
seed('request', 'create-unbound', { protectionPolicy: 'hardware_only' });
seed('request', 'public', { keyId });
seed('request', 'attest', { keyId, challenge: Buffer.alloc(32, 0x5a).toString('base64url') });
seed('request', 'activate-attestation', {
  keyId,
  credentialBlob: Buffer.alloc(70, 0x22).toString('base64'),
  encryptedSecret: Buffer.alloc(70, 0x11).toString('base64'),
});
for (const { name, payload, signedPayloadUtf8 } of vectors('signed-payload.json')) {
  const file = name.replace(/[^a-z0-9]+/gi, '-');
  seed('request', `sign-${file}`, { keyId, payload });
  seed('signed_bytes', file, signedPayloadUtf8);
}
const [first] = vectors('signed-payload.json');
seed('signed_bytes', 'request', {
  keyId,
  signedPayloadBase64: Buffer.from(first.signedPayloadUtf8).toString('base64'),
});

const accessToken = 'Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU';
const htu = 'https://server.example.com:8443/token';
seed('dpop', 'create', { clientId: 'cli_42', origins: ['https://a.example', 'http://[::1]:8080'] });
seed('dpop', 'sign', { keyId, htm: 'POST', htu, nonce: 'eyJ7S_zG.eyJH0-Z.HX4w-7v', accessToken });
seed('dpop', 'sign-digest', {
  keyId,
  htm: 'GET',
  htu,
  accessTokenSha256Base64url: createHash('sha256').update(accessToken).digest('base64url'),
  authorizationCode: 'SplxlOBeZQQYbYS6WxSbIA',
});

seed('options', 'all', {
  directory: '/tmp/keys',
  targets: {
    httpsHosts: ['chatgpt.com', '*.chatgpt.com', 'example.org:8443'],
    allowLoopback: false,
    connectionPaths: ['/api/codex/remote/control/client'],
    enrollmentPaths: ['/wham/remote/control/client/enroll'],
    maxLifetimeSeconds: 900,
  },
  timeoutMs: 30000,
  queueLimit: 4096,
  tcti: 'device:/dev/tpmrm0',
  allowSimulator: true,
  environment: false,
  pkcs11: {
    module: '/usr/lib/softhsm/libsofthsm2.so',
    token: 'pkcs11:token=a',
    pinFile: '/pin',
    allowFinalTry: true,
  },
  userPresence: { reuseSeconds: 60 },
});
seed('options', 'ask', {
  directory: '/tmp/keys',
  pkcs11: { pin: { ask: true } },
  userPresence: true,
});

// TPMKey ::= SEQUENCE { type, emptyAuth [0], parent, pubkey, privkey }
const tlv = (tag, ...parts) => {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part)));
  return Buffer.concat([Buffer.from([tag, body.length]), body]);
};
const der = tlv(
  0x30,
  tlv(0x06, [0x67, 0x81, 0x05, 0x0a, 0x01, 0x03]),
  tlv(0xa0, tlv(0x01, [0])),
  tlv(0x02, [0, 0x81, 0, 0, 1]),
  tlv(0x04, [0, 2, 0x12, 0x34]),
  tlv(0x04, [0, 3, 0xab, 0xcd, 0xef]),
);
const pem = `-----BEGIN TSS2 PRIVATE KEY-----\n${der.toString('base64')}\n-----END TSS2 PRIVATE KEY-----\n`;
seed('tss2_pem', 'der', der);
seed('tss2_pem', 'pem', pem);

const spki = Buffer.from(vectors('ecdsa/p256-sha256.json')[0].spki, 'hex');
const record = {
  version: 1,
  keyId,
  provider: 'tpm2',
  protectionClass: 'hardware_tpm',
  publicKeySpkiDerBase64: spki.toString('base64'),
  accountUserId: 'user-7f3a',
  clientId: 'cli_42',
  createdAt: 1800000000,
  handle: { tss2PrivateKey: pem, parentName: 'AAvP7w' },
};
seed('record', 'tpm2', record);
seed('record', 'unbound', { ...record, accountUserId: null, clientId: null });
const { accountUserId: _, ...dpopRecord } = { ...record, version: 2, use: 'dpop' };
seed('record', 'dpop', { ...dpopRecord, origins: ['https://a.example', 'https://b.example'] });
seed('record', 'numbers', { ...record, handle: [1.5, -0, 1e300, -1] });
// JSON.stringify would round this number.
const fraction = JSON.stringify({ ...record, handle: 0.5 }).replace('0.5', '38888888888888888.5');
seed('record', 'fraction', fraction);

for (const [name, text] of Object.entries({
  origin: 'https://chatgpt.com',
  'origin-port': 'https://a-1.example.org:8443',
  loopback: 'http://[::1]:8080',
  'loopback-v4': 'http://127.0.0.1:8080',
  uri: 'pkcs11:model=SoftHSM%20v2;manufacturer=x;serial=12;token=a%3Bb?module-path=/m.so&pin-source=file:///pin',
  'uri-pin': 'PKCS11:token=a?pin-value=1234',
  base64: 'AAECAwQFBgc=',
  base64url: '-_-_AAEC',
  'key-id': keyId,
  device: 'device:/dev/tpm0',
  swtpm: 'swtpm:host=localhost,port=2321',
})) {
  seed('text', name, text);
}

const groups = new Set();
for (const { group, spki: key, sig } of vectors('ecdsa/p256-sha256.json')) {
  if (groups.has(group)) continue;
  groups.add(group);
  seed('ecdsa', `signature-${group.replace(/[^a-z0-9]+/gi, '-')}`, Buffer.from(sig, 'hex'));
  seed('ecdsa', `spki-${group.replace(/[^a-z0-9]+/gi, '-')}`, Buffer.from(key, 'hex'));
}
seed('ecdsa', 'raw', Buffer.from([...Array(63).fill(0x7f), 1]));
