import type {
  DeviceKeyInfo,
  DeviceKeyProviderSupport,
  DeviceKeySupport,
  DeviceKeyUnreadable,
} from '../../store';
import { withCommandLineNames } from '../option-names';
import type { StoreDirectory } from './store-directory';

/** One problem with its cure, in one line. */
export interface Finding {
  /** `error`: keys cannot be made or used in hardware. `note`: something that is not needed. */
  severity: 'error' | 'warning' | 'note';
  /** The code of the error that operations would have. */
  code: string;
  message: string;
}

/** What `device-key doctor --json` prints. */
export interface DoctorReport {
  /** Whether this user can now make and use keys in hardware. */
  usable: boolean;
  /** The class of a new key under the most lenient policy; null when no key can be made. */
  protectionClass: DeviceKeySupport['protectionClass'];
  providers: DeviceKeyProviderSupport[];
  store: (StoreDirectory & { keys: number; unreadable: DeviceKeyUnreadable[] }) | null;
  findings: Finding[];
  versions: { nodeDeviceKey: string; node: string; platform: string };
}

/** The facts that were found on the machine. */
export interface Examination {
  support: DeviceKeySupport;
  directory: StoreDirectory;
  listed: (DeviceKeyInfo | DeviceKeyUnreadable)[];
}

/** Draws the conclusions. */
export function report(
  { support, directory, listed }: Examination,
  versions: DoctorReport['versions'],
): DoctorReport {
  const unreadable = listed.filter((key) => 'error' in key);
  // The store has more requirements than the permissions of the directory.
  const writable = directory.writable && support.store.available;
  const findings = [
    ...support.providers.flatMap((provider) => providerFindings(provider, support.hardware)),
    ...storeFindings(support.store, directory),
    ...unreadable.map(({ error }): Finding => ({
      severity: 'warning',
      code: error.code,
      message: error.message,
    })),
  ];
  if (support.providers.length === 0) {
    findings.unshift({
      severity: 'error',
      code: 'hardware_unavailable',
      message: `node-device-key supports no secure hardware on ${versions.platform}; use it on Linux or Windows with a TPM 2.0, or on a Mac`,
    });
  }
  return {
    usable: support.hardware && !findings.some(({ severity }) => severity === 'error'),
    protectionClass: support.protectionClass,
    providers: support.providers,
    store: { ...directory, writable, keys: listed.length - unreadable.length, unreadable },
    findings,
    versions,
  };
}

/** The report on a machine on which the addon could not be loaded. */
export function reportWithoutStore(
  error: { code: string; message: string },
  versions: DoctorReport['versions'],
): DoctorReport {
  return {
    usable: false,
    protectionClass: null,
    providers: [],
    store: null,
    findings: [{ severity: 'error', code: error.code, message: error.message }],
    versions,
  };
}

function providerFindings(provider: DeviceKeyProviderSupport, hardware: boolean): Finding[] {
  const { asked, available, code, message, details } = provider;
  if (!asked) return [];
  if (!available) {
    const isHardware = provider.protectionClass.startsWith('hardware_');
    // A missing fallback is reported only if there is no hardware, and only as a note.
    if (hardware && !isHardware) return [];
    return [
      {
        // One kind of hardware is enough.
        severity: isHardware && !hardware ? 'error' : 'note',
        code: code ?? 'platform_error',
        message: withCommandLineNames(message ?? 'it cannot be used, for an unknown reason'),
      },
    ];
  }
  const findings: Finding[] = [];
  if (details.simulator === true) {
    findings.push({
      severity: 'warning',
      code: 'simulator',
      message:
        'THIS TPM IS A SIMULATOR: any user who can read its files has the keys. Never enroll with it; ' +
        'for real keys unset DEVICE_KEY_ALLOW_SIMULATOR and leave out --allow-simulator',
    });
  }
  if (details.inLockout === true) findings.push(lockout(details));
  return findings;
}

function lockout(details: Record<string, unknown>): Finding {
  // Device keys are exempt (noDA). If their storage key is not exempt, the TPM is unavailable and
  // this code is not reached.
  return {
    severity: 'warning',
    code: 'tpm_lockout',
    message:
      `the TPM is locked out after ${String(details.lockoutCounter)} wrong authorizations. Device keys are exempt and keep working; keys of other programs do not. ` +
      "Wait for it to recover, or end it as the TPM's owner with `tpm2_dictionarylockout -c`",
  };
}

function storeFindings(store: DeviceKeySupport['store'], directory: StoreDirectory): Finding[] {
  if (!store.available) {
    return [
      {
        severity: 'error',
        code: store.code ?? 'platform_error',
        message: store.message ?? `${store.directory} cannot be used`,
      },
    ];
  }
  if (directory.writable) return [];
  return [
    {
      severity: 'error',
      code: 'store_unwritable',
      message:
        `keys cannot be recorded in ${directory.directory}: make it writable for this user, or name ` +
        'another place with --directory or DEVICE_KEY_HOME',
    },
  ];
}
