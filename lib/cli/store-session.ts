import { DeviceKeyError } from '../errors';
import { DeviceKeyStore, type DeviceKeyStoreOptions } from '../store';
import type { Invocation } from './command';
import { UsageError } from './failure';

// After this long, a person wonders whether anything happens.
const patienceMs = 1000;

/** Opens the store that the command line names. */
function openStore({ args }: Invocation): DeviceKeyStore {
  const options: DeviceKeyStoreOptions = {};
  const { values, flags } = args;
  const directory = values.get('directory');
  if (directory !== undefined) options.directory = directory;
  const tcti = values.get('tcti');
  if (tcti !== undefined) options.tcti = tcti;
  if (flags.has('allow-simulator')) options.allowSimulator = true;
  const timeout = values.get('timeout-ms');
  if (timeout !== undefined) {
    if (!/^\d{1,9}$/.test(timeout)) {
      throw new UsageError('--timeout-ms: expected a number of milliseconds');
    }
    options.timeoutMs = Number(timeout);
  }
  try {
    return DeviceKeyStore.open(options);
  } catch (error) {
    if (error instanceof DeviceKeyError && error.code === 'invalid_params') {
      throw new UsageError(error.message);
    }
    throw error;
  }
}

/**
 * Calls `use` with the store that the command line names, and closes it afterwards; not when it was
 * interrupted, because closing waits for what the hardware is doing, and the end of the process does not.
 */
export async function withStore<Result>(
  invocation: Invocation,
  use: (store: DeviceKeyStore) => Promise<Result>,
): Promise<Result> {
  const store = openStore(invocation);
  try {
    return await use(store);
  } finally {
    if (!invocation.signal.aborted) await store.close();
  }
}

/** `work` of the hardware. When it takes its time, somebody at a terminal is told what is going on. */
export async function patiently<Result>(
  { output }: Invocation,
  work: Promise<Result>,
): Promise<Result> {
  const wondering = setTimeout(() => {
    if (process.stderr.isTTY) {
      output.note('waiting for the hardware, which can take a while; Ctrl-C cancels');
    }
  }, patienceMs);
  try {
    return await work;
  } finally {
    clearTimeout(wondering);
  }
}
