import { DeviceKeyError } from './errors';
import { readOptions } from './own';

/** The AbortSignal of one operation. Nothing but a DeviceKeyError is thrown here, whatever the caller's object does. */
export interface OperationSignal {
  readonly aborted: boolean;
  /** What the operation rejects with once the signal is aborted. */
  canceled(): DeviceKeyError;
  /** Returns the function that stops listening. */
  listen(onAbort: () => void): () => void;
}

/**
 * The `signal` of an operation's options, if there is one. Recognised by its shape, since a signal of
 * another realm (a vm context, jsdom) is no instance of ours.
 *
 * @throws DeviceKeyError `invalid_params` for anything but an AbortSignal.
 */
export function signalOf(
  options: { signal?: AbortSignal } | null | undefined,
): OperationSignal | undefined {
  const { signal } = readOptions(options ?? undefined);
  if (signal === undefined || (signal as unknown) === null) return undefined;
  let members: Partial<AbortSignal>;
  try {
    // eslint-disable-next-line @typescript-eslint/unbound-method -- called with `signal` as this below
    const { aborted, addEventListener, removeEventListener } = signal;
    members = { aborted, addEventListener, removeEventListener };
  } catch (cause) {
    throw new DeviceKeyError('invalid_params', 'options.signal: cannot be read', { cause });
  }
  const { aborted, addEventListener, removeEventListener } = members;
  if (
    typeof aborted !== 'boolean' ||
    typeof addEventListener !== 'function' ||
    typeof removeEventListener !== 'function'
  ) {
    throw new DeviceKeyError('invalid_params', 'options.signal: expected an AbortSignal');
  }
  return {
    aborted,
    canceled: () =>
      new DeviceKeyError('canceled', 'the operation was canceled', { cause: reasonOf(signal) }),
    listen(onAbort) {
      try {
        addEventListener.call(signal, 'abort', onAbort, { once: true });
      } catch (cause) {
        throw new DeviceKeyError('invalid_params', 'options.signal: cannot be listened to', {
          cause,
        });
      }
      return () => {
        try {
          removeEventListener.call(signal, 'abort', onAbort);
        } catch {
          // The operation is over, and a late abort does nothing.
        }
      };
    },
  };
}

function reasonOf(signal: AbortSignal): unknown {
  try {
    return signal.reason;
  } catch {
    return undefined;
  }
}
