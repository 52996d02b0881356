'use strict';
// Runs in the guest of run-guest.sh, beside the built package: the whole life of a key through
// /dev/tpmrm0, for each kind of user. Prints a JSON report on standard output.
//
// Each step runs in a new process, because another process must find the results of the step.
const { execFileSync } = require('node:child_process');
const path = require('node:path');

const users = {
  root: [],
  member: ['--reuid=app', '--regid=app', '--groups=app,tss'],
  outsider: ['--reuid=app', '--regid=app', '--clear-groups'],
};
const binding = { accountUserId: 'user-1', clientId: 'client-1' };

const payload = () => ({
  type: 'remoteControlClientConnection',
  ...binding,
  nonce: Buffer.alloc(32, 7).toString('base64url'),
  audience: 'remote_control_client_websocket',
  sessionId: 'session-1',
  targetOrigin: 'https://chatgpt.com',
  targetPath: '/api/codex/remote/control/client',
  tokenExpiresAt: Math.floor(Date.now() / 1000) + 300,
  tokenSha256Base64url: Buffer.alloc(32, 9).toString('base64url'),
  scopes: ['remote_control_controller_websocket'],
});

const steps = {
  create: (store) => store.create(binding),
  sign: (store, keyId) => store.sign({ keyId, payload: payload() }),
  attest: async (store, keyId) => {
    const { InMemoryAttestationStateStore, TpmAttestationExchange } = require('./dist/verify.js');
    const states = new InMemoryAttestationStateStore();
    const exchange = new TpmAttestationExchange({ states, trust: require('./tpm-maker.json') });
    const { attestationId, challenge } = await exchange.challenge(await store.public({ keyId }));
    const attestation = await store.attest({ keyId, challenge });
    const made = await exchange.makeCredential(attestationId, attestation);
    const { credentialBlob, encryptedSecret } = made;
    const { secret } = await store.activateAttestation({ keyId, credentialBlob, encryptedSecret });
    return exchange.complete(made.attestationId, secret);
  },
  remove: async (store, keyId) => {
    const before = await store.list();
    await store.delete({ keyId });
    return { before, after: await store.list() };
  },
  support: (store) => store.support(),
  // One store has one descriptor, and a descriptor has space for three objects.
  manyKeys: async (store) => {
    const keyIds = [];
    for (let made = 0; made < 5; made += 1) keyIds.push((await store.create(binding)).keyId);
    for (const keyId of keyIds) await store.sign({ keyId, payload: payload() });
    for (const keyId of keyIds) await store.delete({ keyId });
    return keyIds.length;
  },
};

async function step([name, directory, keyId]) {
  const { DeviceKeyStore } = require('.');
  const store = DeviceKeyStore.open({ directory });
  try {
    return { value: await steps[name](store, keyId) };
  } catch (error) {
    return { error: { code: error.code, message: error.message } };
  } finally {
    await store.close();
  }
}

function lifecycle(user) {
  const directory = path.join('/tmp', user);
  const run = (...args) =>
    JSON.parse(
      execFileSync('setpriv', [...users[user], process.execPath, __filename, ...args], {
        encoding: 'utf8',
        env: { ...process.env, HOME: '/tmp' },
      }),
    );
  const support = run('support', directory);
  const create = run('create', directory);
  if (create.error) return { support, create };
  const { keyId } = create.value;
  const sign = run('sign', directory, keyId);
  const attest = run('attest', directory, keyId);
  const remove = run('remove', directory, keyId);
  const manyKeys = run('manyKeys', directory);
  return { support, create, sign, attest, remove, manyKeys };
}

function report() {
  // Without the resource manager, which shows a process only its own handles.
  const capability = (name) =>
    execFileSync('tpm2_getcap', ['--tcti=device:/dev/tpm0', name], { encoding: 'utf8' });
  return {
    ...Object.fromEntries(Object.keys(users).map((user) => [user, lifecycle(user)])),
    transientHandles: capability('handles-transient'),
    loadedSessions: capability('handles-loaded-session'),
    savedSessions: capability('handles-saved-session'),
  };
}

async function main(args) {
  process.stdout.write(JSON.stringify(args.length > 0 ? await step(args) : report()));
}

void main(process.argv.slice(2));
