import { ownMembers } from '../own';

/**
 * The client's description of itself in the params of `initialize`. Other types than strings are
 * possible.
 */
export interface Client {
  name: unknown;
  version: unknown;
}

/** The result of `initialize`: the members of the protocol's reference server, then our own. */
export interface InitializeResult {
  /** `name/version (OS; architecture)` of this server. */
  userAgent: string;
  /** The directory that holds the key store: absolute. */
  codexHome: string;
  /** `unix` or `windows`. */
  platformFamily: string;
  /** `linux`, `macos`, `windows` or another system's name, as in Rust's `std::env::consts::OS`. */
  platformOs: string;
  name: string;
  version: string;
  /** As `process.platform`. */
  platform: NodeJS.Platform;
}

/** Reads `params.clientInfo`. Without it the client has neither name nor version. */
export function clientOf(params: unknown): Client {
  const { clientInfo } = ownMembers(params as { clientInfo?: object });
  const { name, version } = ownMembers(clientInfo as Partial<Client> | undefined);
  return { name, version };
}

/** `directory` is the store's. A store without one uses the working directory. */
export function initializeResult(
  { name, version }: { name: string; version: string },
  directory: string | undefined,
): InitializeResult {
  const platformOs = osName(process.platform);
  return {
    userAgent: `${name}/${version} (${platformOs}; ${process.arch})`,
    codexHome: directory ?? process.cwd(),
    platformFamily: platformOs === 'windows' ? 'windows' : 'unix',
    platformOs,
    name,
    version,
    platform: process.platform,
  };
}

function osName(platform: NodeJS.Platform): string {
  switch (platform) {
    case 'win32':
      return 'windows';
    case 'darwin':
      return 'macos';
    default:
      return platform;
  }
}
