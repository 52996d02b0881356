import { DeviceKeyError } from './errors';
import { readOptions } from './own';

/** The AbortSignal of one operation. Throws only DeviceKeyError, also when the caller's object throws. */
export interface OperationSignal {
  readonly aborted: boolean;
  /** The error with which the operation rejects once the signal is aborted. */
  canceled(): DeviceKeyError;
  /** Returns the function that stops listening. */
  listen(onAbort: () => void): () => void;
}

/** All operations of a signal share one listener: Node.js warns of a leak at the eleventh. */
const watches = new WeakMap<AbortSignal, { actions: Set<() => void>; listener: () => void }>();

/**
 * The `signal` of an operation's options, if there is one. Recognised by its shape, because a
 * signal of another realm (a vm context, jsdom) is not an instance of this realm's AbortSignal.
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
      let watch = watches.get(signal);
      if (!watch) {
        const actions = new Set<() => void>();
        const listener = (): void => {
          watches.delete(signal);
          for (const act of actions) act();
        };
        try {
          addEventListener.call(signal, 'abort', listener, { once: true });
        } catch (cause) {
          throw new DeviceKeyError(
            'invalid_params',
            'options.signal: its events cannot be listened to',
            {
              cause,
            },
          );
        }
        watch = { actions, listener };
        watches.set(signal, watch);
      }
      const { actions, listener } = watch;
      actions.add(onAbort);
      return () => {
        if (!actions.delete(onAbort) || actions.size > 0 || !watches.delete(signal)) return;
        try {
          removeEventListener.call(signal, 'abort', listener);
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
