// The parts of a user's machine: a TPM, here a software TPM (on Windows a stand-in for its key
// store), and a directory for key records.
import { mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';

import { DeviceKeyStore, type DeviceKeyStoreOptions } from '../../dist/index.js';
import { binding } from './payloads';
import { onWindows, scratchPrefix } from './platform';
import { SoftwareTpm } from './swtpm';
import { StandInTpm } from './windows/stand-in-key-store';

// Tests that need more than a StandInTpm has are not run on Windows.
export async function startTpm(): Promise<SoftwareTpm> {
  return onWindows ? (new StandInTpm() as unknown as SoftwareTpm) : SoftwareTpm.start();
}

export class TestMachine {
  private readonly stores: DeviceKeyStore[] = [];

  private constructor(
    readonly tpm: SoftwareTpm,
    private readonly home: string,
  ) {}

  static async start(): Promise<TestMachine> {
    return new TestMachine(await startTpm(), await mkdtemp(`${scratchPrefix}home-`));
  }

  // Does not exist until the first key is made.
  get directory(): string {
    return path.join(this.home, 'keys');
  }

  get options(): DeviceKeyStoreOptions {
    return { directory: this.directory, ...this.tpm.options };
  }

  recordPath(keyId: string): string {
    return path.join(this.directory, `${keyId}.json`);
  }

  // `closeStores` or `stop` closes it at the latest. swtpm serves one process at a time.
  open(options: DeviceKeyStoreOptions = {}): DeviceKeyStore {
    const store = DeviceKeyStore.open({ ...this.options, ...options });
    this.stores.push(store);
    return store;
  }

  async enroll(owner = binding): Promise<string> {
    const store = this.open();
    const { keyId } = await store.create(owner);
    await store.close();
    return keyId;
  }

  async closeStores(): Promise<void> {
    this.tpm.resume();
    await Promise.all(this.stores.splice(0).map((store) => store.close()));
  }

  async stop(): Promise<void> {
    await this.closeStores();
    await this.tpm.stop();
    await rm(this.home, { recursive: true, force: true });
  }
}
