// Types for examples/electron and docs/electron.md where Electron itself is not installed.
declare module 'electron' {
  type StandIn = typeof import('./electron-stand-in');
  export const app: StandIn['app'];
  export const contextBridge: StandIn['contextBridge'];
  export const dialog: StandIn['dialog'];
  export const ipcMain: StandIn['ipcMain'];
  export const ipcRenderer: StandIn['ipcRenderer'];
}
