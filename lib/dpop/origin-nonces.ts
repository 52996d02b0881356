/** The last nonce of each origin (RFC 9449 section 8.2): of the nonces that a server sent the newest counts. */
export class OriginNonces {
  readonly #nonces = new Map<string, string>();

  get(url: string | URL): string | undefined {
    return this.#nonces.get(new URL(url).origin);
  }

  set(url: string | URL, nonce: string): void {
    this.#nonces.set(new URL(url).origin, nonce);
  }

  /** Keeps the nonce of any answer, also of one that is no error. */
  observe(url: string | URL, response: Response): void {
    const nonce = response.headers.get('DPoP-Nonce');
    // RFC 9449 section 8.1: 1*NQCHAR. With any other, signDpop would refuse every later proof.
    if (nonce !== null && /^[\x21\x23-\x5b\x5d-\x7e]{1,1024}$/.test(nonce)) this.set(url, nonce);
  }
}
