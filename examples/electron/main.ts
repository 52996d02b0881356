/**
 * An Electron app that proves to a backend on which machine it runs. Keys stay in this process: a
 * page gets tokens only. Malicious code in a page can therefore cause signatures only of payloads
 * that remote-control.ts forms.
 *
 *   npm install   # no compiler, no electron-rebuild: the addon is Node-API
 *   BACKEND_ORIGIN=https://chatgpt.com npm start
 *
 * package.json has the settings of electron-builder (`npm run dist`) and Electron Forge
 * (`npm run make`); docs/electron.md explains them.
 */
import path from 'node:path';
import { pathToFileURL } from 'node:url';

import { app, BrowserWindow, dialog, ipcMain, type IpcMainInvokeEvent } from 'electron';

import { close, connect, describe, protection, type Account } from './remote-control';

const page = path.join(__dirname, '../index.html');

function openWindow(): void {
  const window = new BrowserWindow({
    webPreferences: {
      preload: path.join(__dirname, 'preload.js'),
      contextIsolation: true,
      sandbox: true,
      nodeIntegration: false,
    },
  });
  // The window shows one page. Another one would get the functions of the preload script too.
  window.webContents.on('will-navigate', (event) => event.preventDefault());
  window.webContents.setWindowOpenHandler(() => ({ action: 'deny' }));
  void window.loadFile(page);
}

/** Throws unless the window's own page sent the message. A frame inside the page can be foreign. */
function checkSender({ senderFrame }: IpcMainInvokeEvent): void {
  if (senderFrame?.parent !== null || senderFrame.url !== pathToFileURL(page).href) {
    throw new Error('The sender is not the page of this app.');
  }
}

ipcMain.handle('remote-control:protection', (event) => {
  checkSender(event);
  return protection();
});

ipcMain.handle('remote-control:connect', async (event, account: Account) => {
  checkSender(event);
  try {
    return { ok: true, token: await connect(account) };
  } catch (error) {
    // Electron passes on only the text of an error that is thrown here, with a prefix.
    const { code, message } = describe(error);
    dialog.showErrorBox('This device could not be verified', message);
    return { ok: false, code, message };
  }
});

void app.whenReady().then(openWindow);

app.on('window-all-closed', () => app.quit());

// Electron does not wait for promises here. So prevent the exit, and exit when the store has
// released the TPM.
app.once('will-quit', (event) => {
  event.preventDefault();
  void close().finally(() => app.exit());
});
