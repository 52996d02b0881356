/** The option `targets`, as native/protocol/target_policy.cc decodes and applies it. */
import { DeviceKeyError } from '../errors';
import { ownMembers } from '../own';
import type { TargetPolicy } from '../store';
import { isInt64, isObject, readJson } from './json-reader';
import { isCanonicalPort, isHostName, type Origin } from './origin';

const DEFAULT_TARGETS: Required<TargetPolicy> = {
  httpsHosts: ['chatgpt.com', '*.chatgpt.com', 'chatgpt-staging.com', '*.chatgpt-staging.com'],
  allowLoopback: true,
  connectionPaths: ['/api/codex/remote/control/client', '/wham/remote/control/client'],
  enrollmentPaths: [
    '/api/codex/remote/control/client/enroll',
    '/wham/remote/control/client/enroll',
  ],
  maxLifetimeSeconds: 900,
};

/**
 * The policy of the option; an absent member takes the default.
 *
 * @throws DeviceKeyError `invalid_params` naming the member, also for an unknown member.
 */
export function decodeTargetPolicy(option: unknown): Required<TargetPolicy> {
  // The converter makes toJson ignore toJSON methods, as it does for the options of a DeviceKeyStore.
  const given = readJson({ targets: option }, 'options', (_, value) => value) as {
    targets?: unknown;
  };
  const { targets = {} } = ownMembers(given);
  if (!isObject(targets)) {
    throw new DeviceKeyError('invalid_params', 'targets: expected an object');
  }
  for (const [name, value] of Object.entries(targets)) requireMember(name, value);
  return { ...DEFAULT_TARGETS, ...targets };
}

export function allowsOrigin(policy: Required<TargetPolicy>, origin: Origin): boolean {
  if (origin.isLoopback) return policy.allowLoopback;
  return origin.isHttps && policy.httpsHosts.some((pattern) => matches(origin, pattern));
}

function matches(origin: Origin, pattern: string): boolean {
  const [host, port] = splitPort(pattern);
  if (port !== undefined && origin.port !== port) return false;
  if (!host.startsWith('*.')) return origin.host === host;
  const parent = host.slice(1);
  return origin.host.length > parent.length && origin.host.endsWith(parent);
}

function requireMember(name: string, value: unknown): void {
  switch (name) {
    case 'httpsHosts':
      requireStrings(
        name,
        value,
        isHostPattern,
        'a host name in lower case, or one behind "*." for its subdomains, and after it ":" and a port ' +
          'other than 443 to allow that port alone; loopback hosts are governed by allowLoopback',
      );
      return;
    case 'allowLoopback':
      if (typeof value !== 'boolean') refuse(name, 'a boolean');
      return;
    case 'connectionPaths':
    case 'enrollmentPaths':
      requireStrings(
        name,
        value,
        (text) => /^\/[!-~]*$/.test(text) && !/[?#\\]/.test(text),
        'a path that begins with "/", in ASCII, without query and fragment',
      );
      return;
    case 'maxLifetimeSeconds':
      if (!isInt64(value) || value < 1) refuse(name, 'a positive integer of seconds');
      return;
    default:
      refuse(
        name,
        'no such member; there are httpsHosts, allowLoopback, connectionPaths, enrollmentPaths and ' +
          'maxLifetimeSeconds',
      );
  }
}

function requireStrings(
  name: string,
  value: unknown,
  isValid: (text: string) => boolean,
  expected: string,
): void {
  if (!Array.isArray(value)) refuse(name, 'an array');
  const invalid = value.findIndex((item) => typeof item !== 'string' || !isValid(item));
  if (invalid !== -1) refuse(`${name}[${invalid}]`, expected);
}

function isHostPattern(pattern: string): boolean {
  const [host, port] = splitPort(pattern);
  if (port !== undefined && !isCanonicalPort(port, true)) return false;
  const name = host.startsWith('*.') ? host.slice(2) : host;
  return isHostName(name) && name !== 'localhost';
}

function splitPort(text: string): [host: string, port: string | undefined] {
  const colon = text.indexOf(':');
  return colon === -1 ? [text, undefined] : [text.slice(0, colon), text.slice(colon + 1)];
}

function refuse(member: string, expected: string): never {
  throw new DeviceKeyError('invalid_params', `targets.${member}: expected ${expected}`);
}
