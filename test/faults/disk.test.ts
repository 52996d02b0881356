// A full or broken disk causes a typed error and loses no key.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { constants } from 'node:os';
import path from 'node:path';

import { DeviceKeyStore } from '../../dist/index.js';
import { outcome } from '../support/outcome';
import { binding, connectionPayload } from '../support/payloads';
import {
  callsOfOneRun,
  expectNothingLost,
  faultLibrary,
  live,
  report,
  whole,
  type Life,
} from './faults';
import { homes, tpmHome, type Home } from './homes';

jest.setTimeout(3_600_000);
const callsBetweenFaults = whole ? 1 : 17;

let scratch: string;
let library: string;
let home: Home;

beforeAll(async () => {
  scratch = await mkdtemp('/tmp/dk-disk-');
  library = await faultLibrary(scratch);
});
afterAll(() => rm(scratch, { recursive: true }));

// Runs live.cjs and makes a system call fail, or the `call`th call of a function. Returns the function,
// null if the process did not come to the call.
async function liveWithFailure(
  call: number,
  error: 'ENOSPC' | 'EIO',
  ofFunction?: string,
): Promise<{ life: Life; failedCall: string | null }> {
  const file = path.join(scratch, 'failed-call');
  const life = await live(home, {
    env: {
      LD_PRELOAD: library,
      FAULT_AT_CALL: [
        'fail',
        call,
        constants.errno[error],
        file,
        ...(ofFunction ? [ofFunction] : []),
      ].join(':'),
    },
  });
  expect(life).toMatchObject({ ended: 'exit 0', stderr: '' });
  for (const step of life.steps) {
    if (step.state === 'failed') expect(step.errorName).toBe('DeviceKeyError');
  }
  return { life, failedCall: readFileSync(file, 'utf8').trim() || null };
}

describe.each(homes)('with keys in %s', (name, start) => {
  afterEach(() => home.stop());

  test.each(['ENOSPC', 'EIO'] as const)(
    '%s at any system call gives a DeviceKeyError and loses nothing',
    async (error) => {
      home = await start();
      const calls = (await callsOfOneRun(home, library)).length;
      expect(calls).toBeGreaterThan(50);
      const made: string[] = [];
      let failed = 0;
      for (let call = 1; call <= calls; call += callsBetweenFaults) {
        const { life, failedCall } = await liveWithFailure(call, error);
        if (failedCall) made.push(failedCall);
        const failures = life.steps.filter(({ state }) => state === 'failed');
        failed += failures.length > 0 ? 1 : 0;
        await expectNothingLost(home, life.steps);
      }
      expect(made.length).toBeGreaterThan(calls / callsBetweenFaults / 2);
      if (whole) expect(made).toEqual(expect.arrayContaining(['readdir', 'close', 'renameat']));
      // The other calls are those whose failure changes nothing, such as removing a lock.
      expect(failed).toBeGreaterThanOrEqual(whole ? 10 : 0);
      report(
        `${error} at a system call, ${name}`,
        made.length,
        `${failed} typed errors, no key lost`,
      );
    },
  );

  test('a store that cannot be listed gives a DeviceKeyError and loses nothing', async () => {
    home = await start();
    const made: string[] = [];
    for (const listing of ['fdopendir', 'readdir']) {
      for (let call = 1; ; ++call) {
        const { life, failedCall } = await liveWithFailure(call, 'EIO', listing);
        await expectNothingLost(home, life.steps);
        if (!failedCall) break;
        made.push(failedCall);
        expect(life.steps.filter(({ state }) => state === 'failed')).toMatchObject([
          {
            errorCode: 'store_unwritable',
            errorMessage: expect.stringContaining('cannot be listed') as string,
          },
        ]);
      }
    }
    expect(made).toEqual(expect.arrayContaining(['fdopendir', 'readdir']));
    report(`EIO while the store is listed, ${name}`, made.length, 'store_unwritable, no key lost');
  });
});

// Root can mount file systems in a separate namespace; some containers do not allow that.
function canMount(): boolean {
  try {
    execFileSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt'], {
      stdio: 'ignore',
    });
    return true;
  } catch {
    return false;
  }
}
const testWithMounts = canMount() ? test : test.skip;

describe('a store on a separate disk', () => {
  let mountPoint: string;
  let store: DeviceKeyStore;

  beforeEach(async () => {
    home = await tpmHome();
    mountPoint = path.join(path.dirname(home.directory), 'disk');
    await mkdir(mountPoint);
  });
  afterEach(async () => {
    await store.close();
    execFileSync('umount', [mountPoint]);
    await home.stop();
  });

  function open(): DeviceKeyStore {
    store = DeviceKeyStore.open({ ...home.options, directory: path.join(mountPoint, 'keys') });
    return store;
  }

  testWithMounts('that is full refuses a new key, and the old one signs', async () => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k,mode=700', 'none', mountPoint]);
    const { keyId } = await open().create(binding);
    await writeFile(path.join(mountPoint, 'filler'), Buffer.alloc(60_000)).catch(() => undefined);
    await writeFile(path.join(mountPoint, 'filler2'), Buffer.alloc(4096)).catch(() => undefined);
    expect(await outcome(store.create(binding))).toBe('store_unwritable');
    expect(await outcome(store.sign({ keyId, payload: connectionPayload() }))).toBe('fulfilled');
    expect((await store.list()).map((key) => key.keyId)).toEqual([keyId]);
    report('full disk', 1, 'store_unwritable, the old key signs');
  });

  testWithMounts('that is read-only refuses create and delete, and the key signs', async () => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'mode=700', 'none', mountPoint]);
    const { keyId } = await open().create(binding);
    execFileSync('mount', ['-o', 'remount,ro', mountPoint]);
    expect(await outcome(store.create(binding))).toBe('store_unwritable');
    expect(await outcome(store.delete({ keyId }))).toBe('store_unwritable');
    expect(await outcome(store.sign({ keyId, payload: connectionPayload() }))).toBe('fulfilled');
    report('read-only disk', 2, 'store_unwritable, the key signs');
  });
});
