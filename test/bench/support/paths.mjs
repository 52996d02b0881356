import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '../../..');
export const cache = path.join(root, '.cache/bench');
export const commandLine = path.join(root, 'dist/cli/main.js');
export const addon = path.join(root, 'build/Release/device_key.node');

/** A program, or a shared object with its suffix. */
export const nativeProgram = (name) => path.join(root, 'build-cmake/test/bench/native', name);
