// Worker threads that sign with one key in a token, and meanwhile make, use and verify keys with
// Node's own crypto: two copies of OpenSSL work in one process. Prints the results.
const { createPublicKey, generateKeyPairSync, sign, verify } = require('node:crypto');
const { Worker, isMainThread, workerData, parentPort } = require('node:worker_threads');
const { DeviceKeyStore } = require('node-device-key');

function payloadFor({ accountUserId, clientId }) {
  const { randomBytes } = require('node:crypto');
  return {
    type: 'remoteControlClientConnection',
    nonce: randomBytes(32).toString('base64url'),
    audience: 'remote_control_client_websocket',
    sessionId: 'wssess_01',
    targetOrigin: 'https://chatgpt.com',
    targetPath: '/api/codex/remote/control/client',
    accountUserId,
    clientId,
    tokenExpiresAt: Math.floor(Date.now() / 1000) + 600,
    tokenSha256Base64url: randomBytes(32).toString('base64url'),
    scopes: ['remote_control_controller_websocket'],
  };
}

async function work({ options, key, binding, seconds }) {
  const store = DeviceKeyStore.open(options);
  const der = Buffer.from(key.publicKeySpkiDerBase64, 'base64');
  const publicKey = createPublicKey({ key: der, format: 'der', type: 'spki' });
  const report = { signed: 0, wrong: 0, ownWrong: 0 };
  const end = Date.now() + seconds * 1000;
  do {
    const [proof] = await Promise.all([
      store.sign({ keyId: key.keyId, payload: payloadFor(binding) }),
      new Promise((resolve) => {
        const own = generateKeyPairSync('ec', { namedCurve: 'P-256' });
        const signature = sign('sha256', Buffer.from('text'), own.privateKey);
        if (!verify('sha256', Buffer.from('text'), own.publicKey, signature)) report.ownWrong += 1;
        resolve();
      }),
    ]);
    const bytes = Buffer.from(proof.signedPayloadBase64, 'base64');
    const signature = Buffer.from(proof.signatureDerBase64, 'base64');
    report.signed += 1;
    if (!verify('sha256', bytes, publicKey, signature)) report.wrong += 1;
  } while (Date.now() < end);
  await store.close();
  return report;
}

async function main() {
  const { options, binding, seconds, workers } = JSON.parse(process.argv[2]);
  const store = DeviceKeyStore.open(options);
  const protectionPolicy = 'allow_os_protected_nonextractable';
  const key = await store.create({ ...binding, protectionPolicy });
  const data = { options, key, binding, seconds };
  const reports = Array.from({ length: workers }, () => {
    const worker = new Worker(__filename, { workerData: data });
    return new Promise((resolve, reject) => {
      worker.on('message', resolve);
      worker.on('error', reject);
    });
  });
  console.log(JSON.stringify(await Promise.all(reports)));
  await store.close();
}

if (isMainThread) {
  main();
} else {
  work(workerData).then((report) => parentPort.postMessage(report));
}
