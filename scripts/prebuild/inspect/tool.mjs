import { spawnSync } from 'node:child_process';

/**
 * What a tool of binutils or LLVM prints about a file. Nothing if the tool does not know the format of
 * the file, so that the inspection finds everything missing.
 */
export function tool(command, ...args) {
  const { stdout, error } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 2 ** 28 });
  if (error) throw error;
  return stdout;
}
