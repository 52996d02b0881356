// The store behind the functions of the main entry, in processes of their own: it is one a process.
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const root = path.join(__dirname, '../..');

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'dk-default-'));
});
afterEach(() => rm(directory, { recursive: true }));

async function run(script: string) {
  const env = { ...process.env, DEVICE_KEY_HOME: path.join(directory, 'keys') };
  const { stdout, stderr } = await promisify(execFile)(process.execPath, ['-e', script], {
    cwd: root,
    env,
    timeout: 60_000,
  });
  return { stdout, stderr };
}

// Only Linux has thread names. The thread of a PKCS#11 module is the process's, not the store's.
const testOnLinux = process.platform === 'linux' ? test : test.skip;

testOnLinux('closeDefaultStore ends the threads, and the next call opens a new store', async () => {
  const script = `
    const { readdirSync, readFileSync } = require('node:fs');
    const { setTimeout } = require('node:timers/promises');
    const { closeDefaultStore, listDeviceKeys } = require('./dist/index.js');
    const nameOf = (task) => {
      try {
        return readFileSync('/proc/self/task/' + task + '/comm', 'utf8');
      } catch {
        return ''; // it has ended meanwhile
      }
    };
    const isOpen = () =>
      readdirSync('/proc/self/task').some((task) => /^device-key-(rec|hw)/.test(nameOf(task)));
    (async () => {
      await closeDefaultStore(); // none is open
      for (let round = 0; round < 2; ++round) {
        await listDeviceKeys();
        console.log('open', isOpen());
        await closeDefaultStore();
        while (isOpen()) await setTimeout(1); // until execFile gives up
        console.log('closed', process.listenerCount('exit'));
      }
    })();`;
  const { stdout } = await run(script);
  expect(stdout.trim().split('\n')).toEqual(['open true', 'closed 0', 'open true', 'closed 0']);
});

test("Jest's check for open handles is quiet after closeDefaultStore", async () => {
  const project = path.join(directory, 'project');
  await mkdir(path.join(project, 'node_modules'), { recursive: true });
  await symlink(root, path.join(project, 'node_modules/node-device-key'), 'junction');
  await writeFile(path.join(project, 'package.json'), '{}');
  await writeFile(
    path.join(project, 'keys.test.js'),
    `const { closeDefaultStore, listDeviceKeys } = require('node-device-key');
    afterAll(() => closeDefaultStore());
    test('lists keys', async () => expect(await listDeviceKeys()).toEqual([]));`,
  );
  const env = { ...process.env, DEVICE_KEY_HOME: path.join(directory, 'keys') };
  const jest = path.join(root, 'node_modules/jest/bin/jest.js');
  // Without --forceExit Jest waits for everything that keeps its process alive.
  const { stderr } = await promisify(execFile)(
    process.execPath,
    [jest, '--detectOpenHandles', '--runInBand', '--rootDir', project],
    { cwd: project, env, timeout: 120_000 },
  );
  expect(stderr).toContain('1 passed');
  expect(stderr).not.toMatch(/open handle|did not exit/);
});
