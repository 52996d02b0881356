import type { DeviceKeyProviderSupport, DeviceKeySupport } from '../../store';
import type { FailureDocument } from '../output';

/** One step of the self-test. */
export interface Check {
  name: string;
  passed: boolean;
  /** How long it took. */
  milliseconds: number;
  /** What was found out, for people; null when there is nothing to tell. */
  detail: string | null;
  /** Why it failed; null when it passed. */
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
  /** Whether every step passed; the exit code. */
  passed: boolean;
  /** What support() expected the new key to be protected by; null when nothing can make keys. */
  protectionClass: DeviceKeySupport['protectionClass'];
  providers: DeviceKeyProviderSupport[];
  /** In the order in which they ran; a step that needs the result of a failed one is not there. */
  checks: Check[];
  leftBehind: LeftBehind | null;
  versions: { nodeDeviceKey: string; node: string; platform: string; system: string };
}
