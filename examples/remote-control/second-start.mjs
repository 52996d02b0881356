// @ts-check
/**
 * The app's next start: a new process that knows the key's id, as from an app's settings, and finds
 * the key on disk. The demonstration forks it and sends it messages over the IPC channel, so that
 * the session token is not on a command line.
 *
 * @typedef {object} SecondStartTask
 * @property {import('node-device-key').DeviceKeyStoreOptions} storeOptions
 * @property {import('./client.mjs').Account} account
 * @property {import('./client.mjs').Session} session
 * @property {string} keyId
 */
import { DeviceKeyStore } from 'node-device-key';
import { connect } from './client.mjs';

process.once('disconnect', () => process.exit()); // also if the demonstration was killed

process.once('message', async (/** @type {SecondStartTask} */ task) => {
  const result = await connectAgain(task).catch(({ code, message }) => ({ code, message }));
  process.send?.(result, () => process.disconnect());
});

/** @param {SecondStartTask} task */
async function connectAgain({ storeOptions, account, session, keyId }) {
  const store = DeviceKeyStore.open(storeOptions);
  try {
    const channel = await connect(store, account, session, keyId);
    const answer = await channel.ask('hello again');
    channel.close();
    return { answer };
  } finally {
    await store.close();
  }
}
