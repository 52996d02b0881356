// scripts/debian-archive when Debian's archive does not have the pinned version any more, with stand-ins
// for apt's programs.
import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const root = path.join(__dirname, '../..');
const [, file, , sha1] = readFileSync(path.join(root, 'scripts/debian-archives.txt'), 'utf8')
  .split('\n')
  .map((line) => line.split(' '))
  .find(([name]) => name === 'openssl')!;
const version = /_(.*)\.orig/.exec(file!)![1]!;
const url = `https://snapshot.debian.org/file/${sha1!}`;

let scratch: string;

beforeEach(() => {
  scratch = mkdtempSync(path.join(tmpdir(), 'dk-archive-'));
  mkdirSync(path.join(scratch, 'bin'));
  put('apt-get', 'exit 0');
  put('apt-cache', 'exit 0');
});
afterEach(() => rmSync(scratch, { recursive: true }));

function put(name: string, script: string): void {
  const program = path.join(scratch, 'bin', name);
  writeFileSync(program, `#!/bin/sh\n${script}\n`);
  chmodSync(program, 0o755);
}

const archive = (name: string) =>
  promisify(execFile)(path.join(root, 'scripts/debian-archive'), [name], {
    env: {
      PATH: `${path.join(scratch, 'bin')}:${process.env['PATH']!}`,
      XDG_CACHE_HOME: path.join(scratch, 'cache'),
    },
  });

test('a version that Debian has replaced is asked of its snapshots', async () => {
  put('apt-helper', `echo "$@" >${scratch}/asked; exit 100`);
  await expect(archive('openssl')).rejects.toMatchObject({
    stdout: '',
    stderr:
      `debian-archive: Debian 12 has no openssl ${version} any more, ` +
      `and ${url} cannot be fetched: pin the version that it has\n`,
  });
  expect(readFileSync(path.join(scratch, 'asked'), 'utf8')).toMatch(
    new RegExp(`^-o .* download-file ${url} /\\S*/${file!}\n$`),
  );
});

test('so is one that the mirror lists and does not have', async () => {
  put('apt-cache', `echo "openssl | ${version}-1~deb12u1 | http://deb.debian.org/debian Sources"`);
  put('apt-get', 'case "$*" in *update) ;; *) exit 100 ;; esac');
  put('apt-helper', 'exit 100');
  await expect(archive('openssl')).rejects.toMatchObject({
    stderr: expect.stringContaining(url) as string,
  });
});

test('refuses a snapshot that differs from the pinned archive', async () => {
  put('apt-helper', 'for target; do :; done; echo other >"$target"');
  await expect(archive('openssl')).rejects.toMatchObject({
    stdout: '',
    stderr: `debian-archive: Debian's ${file!} is not the one that is pinned\n`,
  });
});

test('another name is refused', async () => {
  await expect(archive('bash')).rejects.toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/^usage: /) as string,
  });
});
