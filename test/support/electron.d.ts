// Types for examples/electron where Electron itself is not installed.
declare module 'electron' {
  type StandIn = typeof import('./electron-stand-in');
  export const app: StandIn['app'];
  export const dialog: StandIn['dialog'];
  export const ipcMain: StandIn['ipcMain'];
}
