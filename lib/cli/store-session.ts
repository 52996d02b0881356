import { DeviceKeyError } from '../errors';
import { DeviceKeyStore, type DeviceKeyStoreOptions, type Pkcs11Options } from '../store';
import { askForPin, isAsking } from './ask';
import type { Invocation } from './command';
import { UsageError } from './failure';
import { withCommandLineNames } from './option-names';

// After this many milliseconds a note tells what the command is waiting for.
const patienceMs = 1000;

/** Opens the store of the command line's options. */
function openStore(invocation: Invocation): DeviceKeyStore {
  const options: DeviceKeyStoreOptions = {};
  const { values, flags } = invocation.args;
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
  options.pkcs11 = pkcs11Options(invocation);
  try {
    return DeviceKeyStore.open(options);
  } catch (error) {
    if (error instanceof DeviceKeyError && error.code === 'invalid_params') {
      throw new UsageError(withCommandLineNames(error.message));
    }
    throw error;
  }
}

/** The token options of the command line, with a prompt for the PIN on a terminal. */
function pkcs11Options(invocation: Invocation): Pkcs11Options {
  const { values } = invocation.args;
  const options: Pkcs11Options = {};
  const module = values.get('pkcs11-module');
  if (module !== undefined) options.module = module;
  const token = values.get('pkcs11-token');
  if (token !== undefined) options.token = token;
  const pinFile = values.get('pkcs11-pin-file');
  if (pinFile !== undefined) options.pinFile = pinFile;

  const chosen = token ?? process.env['DEVICE_KEY_PKCS11_TOKEN'] ?? '';
  const hasPin =
    pinFile !== undefined ||
    Boolean(process.env['DEVICE_KEY_PKCS11_PIN']) ||
    /[?&]pin-(source|value)=/.test(chosen);
  if (!hasPin && process.stdin.isTTY && process.stderr.isTTY) {
    options.pin = (question) => askForPin(question, invocation.signal);
  }
  return options;
}

/**
 * Calls `use` with the store of the command line's options, and closes it afterwards. Does not
 * close it after an interruption, because closing waits for the hardware, and the end of the
 * process does not.
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

/**
 * Awaits `work`, which uses the hardware. If it takes longer than `patienceMs`, prints a note on a
 * terminal.
 */
export async function patiently<Result>(
  { output }: Invocation,
  work: Promise<Result>,
): Promise<Result> {
  const noteTimer = setTimeout(() => {
    if (process.stderr.isTTY && !isAsking()) {
      output.note('waiting for the hardware, which can take a while; Ctrl-C cancels');
    }
  }, patienceMs);
  try {
    return await work;
  } finally {
    clearTimeout(noteTimer);
  }
}
