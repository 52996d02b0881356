/** Origins in their one canonical form, as native/protocol/origin.cc reads them. */

export interface Origin {
  isHttps: boolean;
  isLoopback: boolean;
  host: string;
  /** Undefined for the default port. */
  port: string | undefined;
}

/** Undefined for anything but scheme, "://", host and perhaps a port, all in canonical form. */
export function parseOrigin(text: string): Origin | undefined {
  const [, scheme, host, port] = /^(https?):\/\/(\[::1\]|[^:]*)(?::(.*))?$/s.exec(text) ?? [];
  if (scheme === undefined || host === undefined) return undefined;
  const isHttps = scheme === 'https';
  const isLoopback = host === 'localhost' || host === '[::1]' || isIpv4Loopback(host);
  if (!isLoopback && !isHostName(host)) return undefined;
  if (port !== undefined && !isCanonicalPort(port, isHttps)) return undefined;
  return { isHttps, isLoopback, host, port };
}

/** Whether it is a decimal port without leading zeros, and not the default of the scheme. */
export function isCanonicalPort(text: string, isHttps: boolean): boolean {
  if (!/^[1-9]\d{0,4}$/.test(text)) return false;
  return Number(text) <= 65535 && text !== (isHttps ? '443' : '80');
}

/** Whether it is a DNS name in lower case that no URL parser reads as an IPv4 address. */
export function isHostName(text: string): boolean {
  if (text.length > 253) return false;
  const labels = text.split('.');
  if (!labels.every((label) => /^(?!-)[a-z0-9-]{1,63}$/.test(label) && !label.endsWith('-'))) {
    return false;
  }
  // https://url.spec.whatwg.org/#ends-in-a-number-checker
  return !/^(\d+|0x[\da-f]*)$/.test(labels.at(-1) ?? '');
}

function isIpv4Loopback(text: string): boolean {
  const octets = text.split('.');
  return (
    octets.length === 4 &&
    octets[0] === '127' &&
    octets.every((octet) => /^(0|[1-9]\d{0,2})$/.test(octet) && Number(octet) <= 255)
  );
}
