// What the code samples of the documentation presuppose of the program around them, for the test that
// checks their types (test/node/readme.test.ts). Where they run, test/node/children/samples/ has the
// values.

// The application's own values.
declare const accessToken: string;
declare const accountUserId: string;
declare const app: {
  getPath(name: 'userData'): string;
  on(event: 'will-quit', listener: () => void): void;
  post(route: string, handler: (request: SampleRequest, response: SampleResponse) => unknown): void;
};
declare const authorizationCode: string;
declare const clientId: string;
declare const jkt: string;
declare const keyId: string;
declare const log: { warn(details: object, message: string): void };
declare const nonce: string;
declare const nonces: import('node-device-key/verify').NonceStore;
declare const path: typeof import('node:path');
declare const payload: import('node-device-key').DeviceKeySignPayload;
declare const request: SampleRequest;
declare const response: SampleResponse;
declare const secretOf32Bytes: Buffer;
declare const store: import('node-device-key').DeviceKeyStore;
declare const token: { cnf: { jkt: string } };
declare function askTheUser(label: string, lastPinWasWrong: boolean): Promise<string>;

type SampleRequest = import('node:http').IncomingMessage & {
  body: { proof: import('node-device-key').DeviceKeySignResponse };
  headers: { dpop: string };
  method: string;
  url: string;
};
type SampleResponse = import('node:http').ServerResponse & {
  json(body: object): void;
  status(code: number): { end(): void };
};

declare const devices: {
  enrolledBy(accountUserId: string, clientId: string): Promise<{ publicKeySpkiDerBase64: string }>;
};
declare const sessions: {
  ofRequest(request: SampleRequest): Promise<{
    accountUserId: string;
    clientId: string;
    id: string;
    nonce: string;
    token: string;
    tokenExpiresAt: number;
  }>;
};

// Of the OAuth libraries.
declare const as: import('oauth4webapi').AuthorizationServer;
declare const callback: URLSearchParams;
declare const client: import('oauth4webapi').Client;
declare const parameters: Record<string, string>;
declare const redirectUri: string;
declare const verifier: string;

// docs/remote-control.md: the module that the desktop app has.
type DeviceKeyCreateResponse = import('node-device-key').DeviceKeyCreateResponse;
type DeviceKeyPublicResponse = import('node-device-key').DeviceKeyPublicResponse;
type RemoteControlSignature = import('node-device-key/remote-control').RemoteControlSignature;
declare const deviceKeys: typeof import('node-device-key/remote-control');
declare module '*/device-key.node' {
  export = deviceKeys;
}

// @types/node has it from version 22 on.
declare module 'node:sqlite' {
  export class DatabaseSync {
    constructor(path: string);
    exec(sql: string): void;
    prepare(sql: string): {
      run(...parameters: (string | number | bigint | null)[]): { changes: number | bigint };
      get(...parameters: (string | number | bigint | null)[]): unknown;
      all(...parameters: (string | number | bigint | null)[]): unknown[];
    };
  }
}
