// The outcomes of promises, in a form that is easy to compare.
import { DeviceKeyError } from '../../dist/index.js';

// 'fulfilled', or the code of the error; rethrows anything but a DeviceKeyError.
export async function outcome(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return 'fulfilled';
  } catch (error) {
    if (error instanceof DeviceKeyError) return error.code;
    throw error;
  }
}

export async function outcomes(promises: Promise<unknown>[]): Promise<string[]> {
  return Promise.all(promises.map(outcome));
}

export function count(values: string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const value of values) counts[value] = (counts[value] ?? 0) + 1;
  return counts;
}
