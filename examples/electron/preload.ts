/**
 * Gives the page two functions, and nothing else of Electron. It runs in the sandbox, so `electron`
 * is the only package that it can load.
 */
import { contextBridge, ipcRenderer } from 'electron';

import type { Account } from './remote-control';

contextBridge.exposeInMainWorld('remoteControl', {
  /** `{ hardware, reason }`: whether this machine can protect a key. */
  protection: (): Promise<unknown> => ipcRenderer.invoke('remote-control:protection'),

  /** `{ ok: true, token }` or `{ ok: false, code, message }`. */
  connect: (account: Account): Promise<unknown> =>
    ipcRenderer.invoke('remote-control:connect', account),
});
