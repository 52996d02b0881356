import { DeviceKeyError } from '../errors';

/**
 * The last nonce of each origin (RFC 9449 section 8.2): the newest nonce of a server replaces
 * earlier ones.
 */
export class OriginNonces {
  readonly #nonces = new Map<string, string>();

  get(url: string | URL): string | undefined {
    return this.#nonces.get(urlOf(url).origin);
  }

  set(url: string | URL, nonce: string): void {
    this.#nonces.set(urlOf(url).origin, nonce);
  }

  /** Keeps the nonce of any response, not only of errors. */
  observe(url: string | URL, response: Response): void {
    const nonce = nonceOf(response);
    // RFC 9449 section 8.1: 1*NQCHAR. With any other nonce, signDpop would refuse all later proofs.
    if (nonce !== null && /^[\x21\x23-\x5b\x5d-\x7e]{1,1024}$/.test(nonce)) this.set(url, nonce);
  }
}

/** @throws DeviceKeyError `invalid_params` naming `what`, for a value that is not a URL */
export function urlOf(url: string | URL, what = 'url'): URL {
  try {
    return new URL(url);
  } catch (cause) {
    throw new DeviceKeyError('invalid_params', `${what}: expected a URL`, { cause });
  }
}

function nonceOf(response: Response): string | null {
  try {
    return response.headers.get('DPoP-Nonce');
  } catch (cause) {
    throw new DeviceKeyError('invalid_params', 'response: expected a Response', { cause });
  }
}
