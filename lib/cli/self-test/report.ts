import type { DeviceKeyProviderSupport, DeviceKeySupport } from '../../store';
import type { FailureDocument } from '../output';

/** One step of the self-test. */
export interface Check {
  name: string;
  passed: boolean;
  /** Its duration. */
  milliseconds: number;
  /** Its findings, for people; null if there are none. */
  detail: string | null;
  /** Why it failed; null if it passed. */
  error: FailureDocument | null;
}

/** Keys that may still exist because a step failed. */
export interface LeftBehind {
  /** The directory of their records. */
  directory: string;
  keyIds: string[];
}

/** What `device-key self-test --json` prints. */
export interface SelfTestReport {
  /** Whether every step passed; the exit code depends on it. */
  passed: boolean;
  /** The protection that support() predicted for the new key; null if no key can be made. */
  protectionClass: DeviceKeySupport['protectionClass'];
  providers: DeviceKeyProviderSupport[];
  /** In the order in which they ran, without the steps that need the result of a failed step. */
  checks: Check[];
  leftBehind: LeftBehind | null;
  versions: { nodeDeviceKey: string; node: string; platform: string; system: string };
}
