// What the package does in a Windows node.exe, over the stand-in key store. Writes one line of JSON
// a scenario to the file that is the first argument, and exits with 0 when all of them passed.
'use strict';
const assert = require('node:assert/strict');
const childProcess = require('node:child_process');
const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { Worker, isMainThread, workerData, parentPort } = require('node:worker_threads');

const root = path.join(__dirname, '../../..');
const { DeviceKeyStore } = require(path.join(root, 'dist/index.js'));

const binding = { accountUserId: 'acct', clientId: 'client' };
const software = { ...binding, protectionPolicy: 'allow_os_protected_nonextractable' };

function payload(type = 'remoteControlClientConnection') {
  const expires = Math.floor(Date.now() / 1000) + 300;
  assert.equal(type, 'remoteControlClientConnection');
  return {
    type,
    nonce: crypto.randomBytes(32).toString('base64url'),
    audience: 'remote_control_client_websocket',
    sessionId: 'session',
    targetOrigin: 'https://chatgpt.com',
    targetPath: '/api/codex/remote/control/client',
    ...binding,
    tokenExpiresAt: expires,
    tokenSha256Base64url: crypto.createHash('sha256').update('token').digest('base64url'),
    scopes: ['remote_control_controller_websocket'],
  };
}

function verifies(key, proof) {
  const publicKey = crypto.createPublicKey({
    key: Buffer.from(key.publicKeySpkiDerBase64, 'base64'),
    format: 'der',
    type: 'spki',
  });
  return crypto.verify(
    'sha256',
    Buffer.from(proof.signedPayloadBase64, 'base64'),
    publicKey,
    Buffer.from(proof.signatureDerBase64, 'base64'),
  );
}

const home = process.env.NCRYPT_STAND_IN;
const behave = (...lines) => fs.writeFileSync(path.join(home, 'behaviour.txt'), lines.join('\n'));
const storedKeys = () => fs.readdirSync(home).filter((name) => /^(platform|software)-/.test(name));

let directories = 0;
const newDirectory = () => path.join(home, 'stores', `Größe 鍵 ${(directories += 1)}`);
const open = (options = {}) => DeviceKeyStore.open({ directory: newDirectory(), ...options });

async function rejection(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new assert.AssertionError({ message: 'it did not reject' });
}

const scenarios = {
  async 'creates a key in the TPM, and signs'() {
    const store = open();
    const key = await store.create(binding);
    assert.match(key.keyId, /^dk_tpm_/);
    assert.equal(key.protectionClass, 'hardware_tpm');
    assert.ok(verifies(key, await store.sign({ keyId: key.keyId, payload: payload() })));
    assert.deepEqual(await store.public({ keyId: key.keyId }), key);
    assert.equal((await store.list()).length, 1);
    await store.close();
  },
  async 'finds its keys again in another store object'() {
    const directory = newDirectory();
    const first = open({ directory });
    const key = await first.create(binding);
    await first.close();
    const second = open({ directory });
    assert.ok(verifies(key, await second.sign({ keyId: key.keyId, payload: payload() })));
  },
  async 'deletes the key and its record'() {
    const store = open();
    const before = storedKeys().length;
    const { keyId } = await store.create(binding);
    assert.equal(storedKeys().length, before + 1);
    await store.delete({ keyId });
    assert.equal(storedKeys().length, before);
    assert.equal((await rejection(store.public({ keyId }))).code, 'key_not_found');
  },
  async 'keeps a key whose deletion fails'() {
    const store = open();
    const key = await store.create(binding);
    behave('NCryptDeleteKey=0x80090010');
    assert.equal((await rejection(store.delete(key))).code, 'permission_denied');
    behave();
    assert.ok(verifies(key, await store.sign({ keyId: key.keyId, payload: payload() })));
  },
  async 'takes the software key store only when that is allowed'() {
    behave('no-tpm');
    const store = open();
    const error = await rejection(store.create(binding));
    assert.equal(error.code, 'degraded_protection_not_allowed');
    const key = await store.create(software);
    assert.equal(key.protectionClass, 'os_protected_nonextractable');
    assert.ok(verifies(key, await store.sign({ keyId: key.keyId, payload: payload() })));
  },
  async 'makes plain software keys where there is no isolation'() {
    behave('no-tpm', 'no-isolation');
    const key = await open().create(software);
    assert.equal(key.protectionClass, 'os_protected_nonextractable');
  },
  async 'does not degrade for a fault that passes'() {
    behave('NCryptFinalizeKey=0x80280922');
    assert.equal((await rejection(open().create(software))).code, 'device_busy');
  },
  async 'tells that there is no TPM though the provider opens'() {
    behave('no-tpm');
    const { providers } = await open().support();
    assert.deepEqual(
      providers.map(({ provider, available, code }) => [provider, available, code]),
      [
        ['cng-platform', false, 'hardware_unavailable'],
        ['cng-software', true, null],
      ],
    );
  },
  async 'accepts public keys with the generic magic'() {
    behave('generic-magic');
    const store = open();
    const key = await store.create(binding);
    assert.ok(verifies(key, await store.sign({ keyId: key.keyId, payload: payload() })));
  },
  async 'refuses and deletes a key that may be exported'() {
    behave('exportable');
    const before = storedKeys().length;
    const error = await rejection(open().create(binding));
    assert.equal(error.code, 'platform_error');
    assert.match(error.message, /export policy 1/);
    assert.equal(storedKeys().length, before);
  },
  async 'does not hand out a signature that does not verify'() {
    const store = open();
    const { keyId } = await store.create(binding);
    behave('wrong-signature');
    assert.equal((await rejection(store.sign({ keyId, payload: payload() }))).code, 'crypto_error');
  },
  async 'says that a key is gone'() {
    const store = open();
    const { keyId } = await store.create(binding);
    for (const name of storedKeys()) {
      if (name.includes(keyId)) fs.unlinkSync(path.join(home, name));
    }
    const error = await rejection(store.sign({ keyId, payload: payload() }));
    assert.equal(error.code, 'key_lost');
    assert.equal(error.platformStatus, '0x80090016');
    await store.delete({ keyId });
  },
  async 'gives up on a slow key store, and undoes what it made late'() {
    const before = storedKeys().length;
    behave('slow=1500');
    const store = open({ timeoutMs: 300 });
    assert.equal((await rejection(store.create(binding))).code, 'device_timeout');
    behave();
    await store.close();
    const deadline = Date.now() + 10_000;
    while (storedKeys().length > before && Date.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.equal(storedKeys().length, before);
  },
  async 'sweeps the key of a process that died before it was recorded'() {
    const directory = newDirectory();
    const before = storedKeys().length;
    behave('slow=60000');
    const child = childProcess.spawn(process.execPath, [__filename, 'create', directory]);
    while (storedKeys().length === before) await new Promise((r) => setTimeout(r, 50));
    child.kill();
    await new Promise((resolve) => child.on('exit', resolve));
    behave();
    assert.equal(storedKeys().length, before + 1);
    await open({ directory }).create(binding);
    assert.equal(storedKeys().length, before + 1);
    assert.deepEqual(
      fs.readdirSync(directory).filter((name) => name.endsWith('.pending')),
      [],
    );
  },
  async 'maps every status of the table'() {
    const source = fs.readFileSync(path.join(root, 'native/providers/cng/cng_status.cc'), 'utf8');
    const rows = [...source.matchAll(/\{(0x[0-9a-f]{8}),\s*"\w+",\s*ErrorCode::k(\w+),/g)];
    assert.ok(rows.length > 60, `${rows.length} rows`);
    const store = open();
    const { keyId } = await store.create(binding);
    for (const [, status, name] of rows) {
      behave(`NCryptSignHash=${status}`);
      const error = await rejection(store.sign({ keyId, payload: payload() }));
      const code = name.replace(/[A-Z]/g, (c, i) => (i ? '_' : '') + c.toLowerCase());
      assert.deepEqual([error.code, error.platformStatus], [code, status]);
    }
    behave();
    console.log(`${rows.length} statuses`);
  },
  async 'works on paths longer than 260 characters'() {
    const directory = path.join(newDirectory(), ...Array(8).fill('x'.repeat(40)));
    assert.ok(directory.length > 260);
    const store = open({ directory });
    const key = await store.create(binding);
    assert.ok(verifies(key, await store.sign({ keyId: key.keyId, payload: payload() })));
  },
  async 'works in several worker threads at once'() {
    const directory = newDirectory();
    const results = await Promise.all(
      [1, 2, 3].map(
        () =>
          new Promise((resolve, reject) => {
            const worker = new Worker(__filename, { workerData: { directory } });
            worker.once('message', resolve).once('error', reject);
          }),
      ),
    );
    assert.deepEqual(results, [true, true, true]);
  },
  async 'exits with signatures in flight'() {
    const directory = newDirectory();
    const { keyId } = await open({ directory }).create(binding);
    behave('slow=20000');
    const started = Date.now();
    const { status } = childProcess.spawnSync(
      process.execPath,
      [__filename, 'exit', directory, keyId],
      { timeout: 15_000 },
    );
    assert.equal(status, 7);
    assert.ok(Date.now() - started < 15_000);
  },
  async 'runs in an executable of another name'() {
    const renamed = path.join(home, 'My Application.exe');
    fs.copyFileSync(process.execPath, renamed);
    const { status } = childProcess.spawnSync(renamed, [__filename, 'create', newDirectory()]);
    assert.equal(status, 0);
  },
  async 'does not load an ncrypt.dll that lies beside the addon or the executable'() {
    const lair = path.join(home, 'lair');
    fs.mkdirSync(lair);
    const planted = path.join(root, 'build-windows/planted/ncrypt.dll');
    fs.copyFileSync(planted, path.join(lair, 'ncrypt.dll'));
    fs.copyFileSync(process.execPath, path.join(lair, 'app.exe'));
    fs.copyFileSync(
      path.join(root, 'build-windows/device_key.node'),
      path.join(lair, 'device_key.node'),
    );
    const { status } = childProcess.spawnSync(
      path.join(lair, 'app.exe'),
      [__filename, 'planted', newDirectory(), path.join(lair, 'device_key.node')],
      { cwd: lair },
    );
    assert.equal(status, 0);
    const marker = path.join(home, 'planted-was-loaded');
    assert.equal(fs.existsSync(marker), false);
    // It would have told.
    assert.throws(() => process.dlopen({ exports: {} }, planted));
    assert.equal(fs.existsSync(marker), true);
  },
  async 'answers on the command line'() {
    const run = (...args) =>
      JSON.parse(
        childProcess.execFileSync(
          process.execPath,
          [path.join(root, 'dist/cli/main.js'), ...args, '--json'],
          { env: { ...process.env, DEVICE_KEY_HOME: path.join(home, 'cli-home') } },
        ),
      );
    const key = run('create', '--account', 'acct', '--client', 'client');
    assert.equal(run('public', key.keyId).publicKeySpkiDerBase64, key.publicKeySpkiDerBase64);
  },
  async 'serves an app-server over files'() {
    const [input, output] = ['in.jsonl', 'out.jsonl'].map((name) => path.join(home, name));
    const messages = [
      { id: 1, method: 'initialize', params: {} },
      { method: 'initialized' },
      { id: 2, method: 'device/key/create', params: binding },
      { id: 3, method: 'device/key/public', params: { keyId: 'dk_tpm_nonsense' } },
    ];
    fs.writeFileSync(input, messages.map((message) => `${JSON.stringify(message)}\n`).join(''));
    const files = [fs.openSync(input, 'r'), fs.openSync(output, 'w')];
    const { status } = childProcess.spawnSync(
      process.execPath,
      [path.join(root, 'dist/cli/main.js'), 'app-server'],
      { stdio: [...files, 'inherit'], env: { ...process.env, DEVICE_KEY_HOME: newDirectory() } },
    );
    for (const file of files) fs.closeSync(file);
    assert.equal(status, 0);
    const answers = fs
      .readFileSync(output, 'utf8')
      .trim()
      .split('\n')
      .map((l) => JSON.parse(l));
    const byId = (id) => answers.find((answer) => answer.id === id);
    assert.match(byId(2).result.keyId, /^dk_tpm_/);
    assert.equal(byId(3).error.code, -32600);
  },
};

const roles = {
  async create(directory) {
    await DeviceKeyStore.open({ directory }).create(binding);
  },
  async exit(directory, keyId) {
    const store = DeviceKeyStore.open({ directory });
    for (let i = 0; i < 5; i += 1) store.sign({ keyId, payload: payload() }).catch(() => {});
    setTimeout(() => process.exit(7), 500);
  },
  async planted(directory, addon) {
    const { NativeStore } = require(addon);
    await new Promise((resolve, reject) => {
      const store = new NativeStore(JSON.stringify({ directory }), ([{ error }]) =>
        error ? reject(error) : resolve(),
      );
      store.create(JSON.stringify(binding));
    });
  },
};

async function main([report, ...only]) {
  let failed = 0;
  for (const [name, run] of Object.entries(scenarios)) {
    if (only.length > 0 && !only.some((word) => name.includes(word))) continue;
    behave();
    let error = null;
    try {
      await run();
    } catch (thrown) {
      error = thrown.stack ?? JSON.stringify(thrown);
      failed += 1;
    }
    fs.appendFileSync(report, `${JSON.stringify({ name, error })}\n`);
  }
  process.exit(failed === 0 ? 0 : 1);
}

if (!isMainThread) {
  void (async () => {
    const store = DeviceKeyStore.open(workerData);
    const key = await store.create(binding);
    parentPort.postMessage(
      verifies(key, await store.sign({ keyId: key.keyId, payload: payload() })),
    );
  })();
} else if (roles[process.argv[2]]) {
  void roles[process.argv[2]](...process.argv.slice(3));
} else {
  void main(process.argv.slice(2));
}
