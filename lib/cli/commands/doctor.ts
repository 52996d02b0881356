import { DeviceKeyError } from '../../errors';
import type { DeviceKeyInfo, DeviceKeyStore, DeviceKeyUnreadable } from '../../store';
import { thisPackage } from '../../this-package';
import { abortable } from '../abortable';
import type { Command, Invocation } from '../command';
import { report, reportWithoutStore, type DoctorReport, type Examination } from '../doctor/report';
import { examineStoreDirectory } from '../doctor/store-directory';
import { reportText } from '../doctor/text';
import { patiently, withStore } from '../store-session';

export const command: Command = {
  summary: 'show how keys are protected here, and how to fix problems',
  usage: '[--all] [OPTIONS]',
  description: `Checks the hardware, its libraries and the key store, and prints one line with a cure for
each problem. Changes nothing. Exits with 0 if this user can make and use keys in
hardware, else with 1. PKCS#11 modules, which may write messages and files, are loaded
only if one is named, if nothing else can protect keys, or with --all.`,
  options: { all: { help: 'check every provider, needed or not' } },
  positionals: [],
  examples: [
    'device-key doctor',
    'device-key doctor --all',
    "device-key doctor --json | jq -r '.findings[].message'",
  ],

  async run(invocation) {
    const result = await diagnose(invocation);
    invocation.output.result(result, reportText(result));
    return result.usable ? 0 : 1;
  },
};

async function diagnose(invocation: Invocation): Promise<DoctorReport> {
  const versions = {
    nodeDeviceKey: thisPackage.version,
    node: process.versions.node,
    platform: `${process.platform}-${process.arch}`,
  };
  let examination: Examination;
  try {
    examination = await withStore(invocation, (store) => examine(store, invocation));
  } catch (error) {
    // A missing build of the addon or a missing home directory is also a finding.
    if (!(error instanceof DeviceKeyError) || error.code === 'canceled') throw error;
    return reportWithoutStore(error, versions);
  }
  return report(examination, versions);
}

async function examine(store: DeviceKeyStore, invocation: Invocation): Promise<Examination> {
  const { args, signal } = invocation;
  const support = await patiently(
    invocation,
    abortable(store.support({ all: args.flags.has('all') }), signal),
  );
  const directory = await examineStoreDirectory(support.store.directory);
  let listed: (DeviceKeyInfo | DeviceKeyUnreadable)[] = [];
  // If the store cannot be used, support() has already reported why.
  if (support.store.available) listed = await abortable(store.list(), signal);
  return { support, directory, listed };
}
