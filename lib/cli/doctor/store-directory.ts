import { constants } from 'node:fs';
import { access, lstat } from 'node:fs/promises';
import path from 'node:path';

/** Facts about the directory of key records. */
export interface StoreDirectory {
  directory: string;
  /** False before the first key is made. */
  exists: boolean;
  /** Its permissions in octal, such as `0700`; null if there are none. */
  mode: string | null;
  /** The user id of its owner; null if it does not exist, and on Windows. */
  owner: number | null;
  /** Whether records can be written to it, or whether it can be created. */
  writable: boolean;
}

export async function examineStoreDirectory(directory: string): Promise<StoreDirectory> {
  const posix = process.platform !== 'win32';
  try {
    const { mode, uid } = await lstat(directory);
    return {
      directory,
      exists: true,
      mode: posix ? (mode & 0o7777).toString(8).padStart(4, '0') : null,
      owner: posix ? uid : null,
      writable: await permits(directory),
    };
  } catch (error) {
    const absent = (error as NodeJS.ErrnoException).code === 'ENOENT';
    const writable = absent && (await canBeMade(directory));
    return { directory, exists: !absent, mode: null, owner: null, writable };
  }
}

/** Whether the nearest existing parent lets this user create the missing directories. */
async function canBeMade(directory: string): Promise<boolean> {
  const parent = path.dirname(directory);
  if (parent === directory) return false;
  try {
    await lstat(parent);
    return await permits(parent);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' && canBeMade(parent);
  }
}

function permits(directory: string): Promise<boolean> {
  return access(directory, constants.R_OK | constants.W_OK | constants.X_OK).then(
    () => true,
    () => false,
  );
}
