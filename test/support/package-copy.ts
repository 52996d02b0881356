// A copy of the built package that every user can read. A checkout may be below a directory that
// other users cannot enter, such as root's home.
import { constants } from 'node:fs';
import { chmod, copyFile, cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';

const root = path.join(__dirname, '../..');

// The files that a process needs to use the package: the package itself, and the scripts of the
// tests' child processes.
const parts = ['package.json', 'dist', 'build/Release/device_key.node', 'test/node/children'];

export class PackageCopy {
  private constructor(readonly directory: string) {}

  static async make(): Promise<PackageCopy> {
    const copy = new PackageCopy(await mkdtemp('/tmp/dk-package-'));
    await chmod(copy.directory, 0o755);
    for (const part of parts) {
      const target = path.join(copy.directory, part);
      await mkdir(path.dirname(target), { recursive: true });
      await cp(path.join(root, part), target, { recursive: true, dereference: true });
    }
    // Node.js may also be installed below such a directory.
    await copyFile(process.execPath, copy.node, constants.COPYFILE_FICLONE);
    await chmod(copy.node, 0o755);
    return copy;
  }

  get node(): string {
    return path.join(this.directory, 'node');
  }

  script(name: string): string {
    return path.join(this.directory, 'test/node/children', name);
  }

  async remove(): Promise<void> {
    await rm(this.directory, { recursive: true });
  }
}
