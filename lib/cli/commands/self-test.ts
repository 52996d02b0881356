import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { release, tmpdir, type } from 'node:os';
import path from 'node:path';

import { thisPackage } from '../../this-package';
import type { Command, Invocation } from '../command';
import { UsageError } from '../failure';
import { runChecks } from '../self-test/checks';
import type { LeftBehind, SelfTestReport } from '../self-test/report';
import { leftBehindText, reportText } from '../self-test/text';

export const command: Command = {
  summary: 'try one key on this machine, and report each step',
  usage: '[OPTIONS]',
  description: `Creates a key under the policy that allows the fallback, signs with it, verifies, signs
again from a second process, deletes it, and checks whether the key store still has it.
Then does the same with a DPoP key. The records are kept in a temporary directory; no other key is
changed. Prints a report to paste into an issue. Exits with 0 if every step passed, else with 1.`,
  options: {},
  positionals: [],
  examples: ['device-key self-test', 'device-key self-test --json'],

  async run(invocation) {
    if (invocation.args.values.has('directory')) {
      throw new UsageError('--directory: self-test uses a temporary directory');
    }
    const result = await selfTest(invocation);
    invocation.output.result(result, reportText(result));
    return result.passed ? 0 : 1;
  },
};

async function selfTest(invocation: Invocation): Promise<SelfTestReport> {
  const directory = await mkdtemp(path.join(tmpdir(), 'device-key-self-test-'));
  try {
    const { support, checks } = await runChecks(invocation, path.join(directory, 'keys'));
    return {
      passed: checks.every(({ passed }) => passed),
      protectionClass: support?.protectionClass ?? null,
      providers: support?.providers ?? [],
      checks,
      leftBehind: await removeUnlessKeysAreLeft(directory),
      versions: {
        nodeDeviceKey: thisPackage.version,
        node: process.versions.node,
        platform: `${process.platform}-${process.arch}`,
        system: `${type()} ${release()}`,
      },
    };
  } catch (error) {
    // Interrupted.
    const leftBehind = await removeUnlessKeysAreLeft(directory);
    if (leftBehind) invocation.output.note(leftBehindText(leftBehind));
    throw error;
  }
}

/**
 * Removes the directory, unless it has the last trace of a key that may still exist in an OS store
 * or a token.
 */
async function removeUnlessKeysAreLeft(directory: string): Promise<LeftBehind | null> {
  const keys = path.join(directory, 'keys');
  // The key id is the name of a record (.json) and of the announcement of a key (.pending).
  const names = await readdir(keys).catch(() => []);
  const keyIds = names.filter((name) => /^dk_.*\.(json|pending)$/.test(name));
  if (keyIds.length > 0) {
    return { directory: keys, keyIds: [...new Set(keyIds.map((name) => path.parse(name).name))] };
  }
  await rm(directory, { recursive: true, force: true });
  return null;
}
