import type { DeviceKeyProtectionPolicy } from '../../types/v2';
import { UsageError } from './failure';

export const policies: DeviceKeyProtectionPolicy[] = [
  'hardware_only',
  'allow_os_protected_nonextractable',
];

export function isPolicy(text: string): text is DeviceKeyProtectionPolicy {
  return (policies as string[]).includes(text);
}

export function policyError(): UsageError {
  return new UsageError(`--policy: expected ${policies.join(' or ')}`);
}
