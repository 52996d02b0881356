import type { DeviceKeyRequestStore } from '../../dist/app-server.js';

/** A store with just the methods of a test; calling any other is an error of that test. */
export function stubStore(methods: Partial<DeviceKeyRequestStore> = {}): DeviceKeyRequestStore {
  const uncalled = () => Promise.reject(new Error('the test did not expect this call'));
  const none = { create: uncalled, public: uncalled, sign: uncalled };
  return { ...none, delete: uncalled, list: uncalled, support: uncalled, ...methods };
}

/** Lets a test settle the calls of one method when it likes, by the keyId that they came with. */
export class HeldCalls {
  readonly #settle = new Map<string, (error?: Error) => void>();
  #onCall: (() => void) | undefined;

  readonly public: DeviceKeyRequestStore['public'] = ({ keyId }) =>
    new Promise((resolve, reject) => {
      this.#settle.set(keyId, (error) => {
        if (error) reject(error);
        else resolve({ keyId } as Awaited<ReturnType<DeviceKeyRequestStore['public']>>);
      });
      this.#onCall?.();
    });

  get keyIds(): string[] {
    return Array.from(this.#settle.keys());
  }

  /** Waits until so many calls are held. */
  async reach(count: number): Promise<void> {
    while (this.#settle.size < count) {
      await new Promise<void>((resolve) => {
        this.#onCall = resolve;
      });
    }
  }

  settle(keyId: string, error?: Error): void {
    this.#settle.get(keyId)!(error);
    this.#settle.delete(keyId);
  }
}
