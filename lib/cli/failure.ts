import { withCommandLineNames } from './option-names';
import type { Output } from './output';

/** The command line is invalid. `message` says why. */
export class UsageError extends Error {
  /** The command, if it is known. */
  command: string | undefined;
  static {
    this.prototype.name = 'UsageError';
  }
}

/** A command could not do its work. */
export class CommandError extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
  static {
    this.prototype.name = 'CommandError';
  }
}

/** Why a command was aborted. */
export class Interruption extends Error {
  /** As shells report processes that a signal ended: 128 plus the signal's number. */
  readonly exitCode: number;
  constructor(signal: 'SIGINT' | 'SIGTERM') {
    super(`interrupted by ${signal}`);
    this.exitCode = signal === 'SIGINT' ? 130 : 143;
  }
}

/** Codes for which `device-key doctor` gives more information. */
const machineCodes = new Set([
  'degraded_protection_not_allowed',
  'device_timeout',
  'hardware_unavailable',
  'library_missing',
  'permission_denied',
  'platform_error',
  'store_corrupt',
  'store_insecure',
  'store_unwritable',
  'tpm_lockout',
  'tpm_owner_auth_required',
]);

/** Writes the error to standard error, in at most two lines, and returns the exit code. */
export function reportFailure(error: unknown, output: Output, signal: AbortSignal): number {
  if (error instanceof UsageError) {
    const help = ['device-key', error.command, '--help'].filter(Boolean).join(' ');
    output.failure({ code: 'usage', message: error.message }, `see \`${help}\``);
    return 2;
  }
  const { code = 'unexpected', platformStatus } = error as FailureLike;
  const message = withCommandLineNames((error as FailureLike).message);
  if (signal.aborted && code === 'canceled') {
    const { message: reason, exitCode } = signal.reason as Interruption;
    output.failure({ code, message: reason });
    return exitCode;
  }
  const lines = [`code ${code}`];
  if (platformStatus !== undefined) lines.push(`status ${platformStatus}`);
  if (machineCodes.has(code)) lines.push('`device-key doctor` checks the whole machine');
  output.failure(
    { code, message, ...(platformStatus !== undefined && { platformStatus }) },
    lines.join(', '),
  );
  return 1;
}

/** DeviceKeyError, DeviceKeyVerificationError, CommandError, or any other thrown value. */
interface FailureLike {
  code?: string;
  message: string;
  platformStatus?: string;
}
