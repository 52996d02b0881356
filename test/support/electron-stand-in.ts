// A stand-in for Electron, which is too large to install for one test. It has only what
// examples/electron/main.ts and docs/electron.md use of Electron, and behaves as Electron's
// documentation says.
//
// It runs in a separate process, in place of Electron's main process. The test that started that
// process acts as renderer and user, through messages (see the two types below). A preload script
// runs in the same process.
import { EventEmitter } from 'node:events';

export type ToMain = { invoke: string; call: number; argument: unknown } | { quit: true };
export type FromMain =
  { ready: true } | { call: number; result: unknown } | { errorBox: [string, string] };

type Listener = (event: object, argument: never) => unknown;

interface App {
  getPath(name: 'userData'): string;
  once(event: 'will-quit', listener: (event: { preventDefault(): void }) => void): unknown;
  quit(): void;
  exit(exitCode?: number): void;
}

const listeners = new Map<string, Listener>();
const tell = (message: FromMain): unknown => process.send?.(message);

class StandInApp extends EventEmitter implements App {
  getPath(): string {
    return process.env['USER_DATA']!;
  }

  quit(): void {
    const event = new Event('will-quit', { cancelable: true });
    this.emit(event.type, event);
    if (!event.defaultPrevented) this.exit();
  }

  exit(exitCode = 0): void {
    process.exit(exitCode);
  }
}

export const app: App = new StandInApp();

export const ipcMain = {
  handle(channel: string, listener: Listener): void {
    listeners.set(channel, listener);
  },
};

export const ipcRenderer = {
  /** Arguments and results are copies, as between two processes. */
  async invoke(channel: string, ...args: unknown[]): Promise<unknown> {
    const listener = listeners.get(channel);
    if (!listener) throw new Error(`No handler registered for '${channel}'`);
    const [argument] = structuredClone(args);
    return structuredClone(await listener({}, argument as never));
  },
};

export const contextBridge = {
  /** Copies the API: the page cannot change the preload script's object. */
  exposeInMainWorld(name: string, api: object): void {
    if (name in globalThis) throw new Error(`Cannot bind an API on top of an existing property`);
    Object.defineProperty(globalThis, name, { value: Object.freeze({ ...api }) });
  },
};

export const dialog = {
  showErrorBox(title: string, content: string): void {
    tell({ errorBox: [title, content] });
  },
};

process.on('message', (message: ToMain) => {
  if ('quit' in message) {
    app.quit();
    return;
  }
  const { call, invoke, argument } = message;
  void Promise.resolve(listeners.get(invoke)!({}, argument as never)).then((result) =>
    tell({ call, result }),
  );
});
setImmediate(() => tell({ ready: true })); // the app's main file has run before this
