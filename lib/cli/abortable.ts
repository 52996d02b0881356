import { DeviceKeyError } from '../errors';

/**
 * Resolves or rejects like `work`, but rejects with `canceled` once the signal is aborted. The work
 * itself continues until the process ends.
 */
export async function abortable<Result>(
  work: Promise<Result>,
  signal: AbortSignal,
): Promise<Result> {
  let stop: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => {
      reject(new DeviceKeyError('canceled', 'the operation was canceled'));
    };
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop);
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    if (stop) signal.removeEventListener('abort', stop);
  }
}
