// A stand-in for Electron, whose program npm's package downloads from elsewhere. It has only what
// examples/electron and docs/electron.md use of Electron, and behaves as Electron's documentation
// says. The linter checks both with Electron's real types.
//
// It runs in a separate process, in place of Electron's main process. The test that started that
// process acts as renderer and user, through messages (see the two types below). A preload script
// runs in the same process.
import { EventEmitter } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import vm from 'node:vm';

export type ToMain =
  /** The page calls a function that the preload script exposed. */
  | { api: string; function: string; call: number; argument?: unknown }
  /** The following calls come from this frame, not from the page itself. */
  | { frame: Frame }
  /** The user follows a link, or the page opens a window. */
  | { navigate: string }
  | { open: string }
  | { closeWindow: true }
  | { quit: true };
export type FromMain =
  | { loaded: string; webPreferences: WebPreferences; exposed: Record<string, string[]> }
  | { call: number; result: unknown }
  | { call: number; error: string }
  | { allowed: boolean }
  | { errorBox: [string, string] };

export interface Frame {
  url: string;
  parent: object | null;
}

export interface WebPreferences {
  preload: string;
  contextIsolation: boolean;
  sandbox: boolean;
  nodeIntegration: boolean;
}

type Listener = (event: { senderFrame: Frame | null }, argument: never) => unknown;

const listeners = new Map<string, Listener>();
const exposed: Record<string, Record<string, (argument: unknown) => unknown>> = {};
let contents: WebContents | undefined;
let senderFrame: Frame | null = null;
const tell = (message: FromMain): unknown => process.send?.(message);

class StandInApp extends EventEmitter {
  getPath(): string {
    return process.env['USER_DATA']!;
  }

  whenReady(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
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

export const app = new StandInApp();

class WebContents extends EventEmitter {
  openHandler: (details: { url: string }) => { action: string } = () => ({ action: 'allow' });

  setWindowOpenHandler(handler: typeof this.openHandler): void {
    this.openHandler = handler;
  }
}

export class BrowserWindow {
  readonly webContents = new WebContents();
  readonly #webPreferences: WebPreferences;

  constructor({ webPreferences }: { webPreferences: WebPreferences }) {
    this.#webPreferences = webPreferences;
    contents = this.webContents;
  }

  loadFile(file: string): Promise<void> {
    if (!existsSync(file)) return Promise.reject(new Error(`ERR_FILE_NOT_FOUND: ${file}`));
    senderFrame = { url: pathToFileURL(file).href, parent: null };
    runSandboxed(this.#webPreferences.preload);
    const names = Object.entries(exposed).map(([name, api]) => [name, Object.keys(api)] as const);
    tell({
      loaded: senderFrame.url,
      webPreferences: this.#webPreferences,
      exposed: Object.fromEntries(names),
    });
    return Promise.resolve();
  }
}

/** Runs a preload script, which can load only the modules that Electron's sandbox has. */
function runSandboxed(file: string): void {
  const load = (name: string): unknown => {
    if (name === 'electron') return { contextBridge, ipcRenderer };
    if (/^(node:)?(events|timers|url)$/.test(name)) return createRequire(file)(name);
    throw new Error(`module not found: ${name}`);
  };
  const source = readFileSync(file, 'utf8');
  type Script = (require: typeof load, exports: object) => void;
  (vm.compileFunction(source, ['require', 'exports'], { filename: file }) as Script)(load, {});
}

export const ipcMain = {
  handle(channel: string, listener: Listener): void {
    if (listeners.has(channel)) throw new Error('Attempted to register a second handler');
    listeners.set(channel, listener);
  },
};

export const ipcRenderer = {
  /** Arguments and results are copies, as between two processes. Of an error only the text arrives. */
  async invoke(channel: string, ...args: unknown[]): Promise<unknown> {
    try {
      const listener = listeners.get(channel);
      if (!listener) throw new Error(`No handler registered for '${channel}'`);
      const [argument] = structuredClone(args);
      return structuredClone(await listener({ senderFrame }, argument as never));
    } catch (error) {
      throw new Error(`Error invoking remote method '${channel}': ${String(error)}`);
    }
  },
};

export const contextBridge = {
  /** Copies the API: the page cannot change the preload script's object. */
  exposeInMainWorld(name: string, api: (typeof exposed)[string]): void {
    if (name in globalThis) throw new Error(`Cannot bind an API on top of an existing property`);
    exposed[name] = Object.freeze({ ...api });
    Object.defineProperty(globalThis, name, { value: exposed[name] });
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
  } else if ('closeWindow' in message) {
    app.emit('window-all-closed');
  } else if ('frame' in message) {
    senderFrame = message.frame;
  } else if ('navigate' in message) {
    const event = new Event('will-navigate', { cancelable: true });
    contents!.emit(event.type, event);
    tell({ allowed: !event.defaultPrevented });
  } else if ('open' in message) {
    const { action } = contents!.openHandler({ url: message.open });
    tell({ allowed: action === 'allow' });
  } else {
    const { api, call, function: name, argument } = message;
    // The page is in another process, and a call there never throws at once.
    void Promise.resolve(exposed[api]![name]!(argument)).then(
      (result) => tell({ call, result }),
      (error: unknown) => tell({ call, error: (error as Error).message }),
    );
  }
});
