import type { DeviceKeyProviderSupport } from '../../store';
import { oneLine, painter, printable, table, type Painter } from '../output';
import type { DoctorReport } from './report';

/** The report, for people. */
export function reportText(report: DoctorReport): string {
  const paint = painter(process.stdout);
  const { versions } = report;
  const sections = [
    `node-device-key ${versions.nodeDeviceKey}, Node.js ${versions.node}, ${versions.platform}`,
    ...report.providers.map((provider) => providerText(provider, paint)),
  ];
  if (report.store) sections.push(storeText(report.store, paint));
  if (report.findings.length > 0) sections.push(findingsText(report, paint));
  sections.push(verdict(report, paint));
  return sections.join('\n\n');
}

/** One provider: its state and facts about its hardware. */
export function providerText(provider: DeviceKeyProviderSupport, paint: Painter): string {
  const state = providerState(provider, paint);
  const title = `${paint.bold(provider.provider)}  ${provider.protectionClass}  ${state}`;
  return [title, indented(detailRows(provider.details))].filter(Boolean).join('\n');
}

function providerState({ asked, available, code }: DeviceKeyProviderSupport, paint: Painter) {
  if (!asked) return 'not asked';
  return available ? paint.green('available') : paint.red(`not available (${code ?? 'unknown'})`);
}

/** Known details of TPMs and tokens in words; all other details unchanged. */
function detailRows(details: Record<string, unknown>): string[][] {
  const rest = new Map(Object.entries(details));
  const take = (name: string) => {
    const value = rest.get(name);
    rest.delete(name);
    return value;
  };
  const rows: string[][] = [];
  const row = (name: string, value: string) => rows.push([name, printable(value)]);

  const tokens = take('tokens') as Pkcs11TokenDetails[] | undefined;
  if (tokens !== undefined) {
    row('module', text(take('module')));
    const chosen = take('token');
    const pin = take('pin');
    if (tokens.length === 0) row('tokens', 'none');
    for (const token of tokens) {
      row('token', tokenText(token, token.uri === chosen));
    }
    if (pin !== 'none') row('PIN', pinSources[String(pin)] ?? text(pin));
  }
  const tcti = take('tcti');
  if (tcti !== undefined) row('reached through', text(tcti));
  if (take('simulator') === true) row('kind', 'SIMULATOR, protects nothing');
  const manufacturer = take('manufacturer');
  const vendor = take('vendor');
  if (manufacturer !== undefined) {
    row('manufacturer', [manufacturer, vendor].filter(Boolean).map(text).join(', '));
  }
  const firmware = take('firmwareVersion');
  if (firmware !== undefined) row('firmware', text(firmware));
  const persistent = take('persistentStorageKey');
  if (persistent !== undefined) {
    row('storage key', persistent ? 'persistent, at 0x81000001' : 'derived in every process');
  }
  const ownerAuthSet = take('ownerAuthSet');
  if (ownerAuthSet !== undefined) row('owner password', ownerAuthSet ? 'set' : 'not set');
  const inLockout = take('inLockout');
  const counter = take('lockoutCounter');
  const limit = take('maxAuthFail');
  const interval = take('lockoutIntervalSeconds');
  if (inLockout !== undefined) {
    row(
      'lockout',
      `${inLockout ? 'LOCKED OUT' : 'no'}, ${text(counter)} of ${text(limit)} wrong authorizations` +
        (interval === undefined ? '' : `, one forgotten every ${text(interval)} s`),
    );
  }
  for (const [name, value] of rest) row(printable(name), text(value));
  return rows;
}

/** One token in the details of the PKCS#11 provider. */
interface Pkcs11TokenDetails {
  uri: string;
  /** Why it cannot hold device keys; null if it can. */
  obstacle: string | null;
  pinPad: boolean;
  lastPinWasWrong: boolean;
  finalTry: boolean;
  pinLocked: boolean;
}

const pinSources: Record<string, string> = {
  value: 'given',
  file: 'read from a file',
  prompt: 'will be asked for when needed',
};

function tokenText(token: Pkcs11TokenDetails, chosen: boolean): string {
  const { obstacle, pinPad, lastPinWasWrong, finalTry, pinLocked } = token;
  const remarks = [
    obstacle !== null && `cannot hold device keys: ${obstacle}`,
    chosen && 'for new keys',
    pinPad && 'has a PIN pad',
    pinLocked
      ? 'its PIN is LOCKED'
      : finalTry
        ? 'one more wrong PIN LOCKS it'
        : lastPinWasWrong && 'the last PIN was wrong',
  ].filter((remark) => remark !== false);
  return [token.uri, ...remarks].join('; ');
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function storeText(store: NonNullable<DoctorReport['store']>, paint: Painter): string {
  const rows = [['directory', printable(store.directory)]];
  if (!store.exists) {
    rows.push([
      'state',
      store.writable ? 'will be created with the first key' : 'cannot be created',
    ]);
  } else if (store.mode !== null) {
    const owner = store.owner === process.getuid?.() ? 'this user' : `user ${store.owner ?? '?'}`;
    rows.push(['permissions', `${store.mode}, belongs to ${owner}`]);
  }
  rows.push(['keys', String(store.keys)]);
  rows.push(['unreadable records', String(store.unreadable.length)]);
  return `${paint.bold('store')}\n${indented(rows)}`;
}

function findingsText({ findings }: DoctorReport, paint: Painter): string {
  const labels = { error: paint.red, warning: paint.yellow, note: paint.dim };
  const lines = findings.map(({ severity, code, message }) => {
    return `${labels[severity](severity)} [${code}]: ${oneLine(message)}`;
  });
  return lines.join('\n');
}

function verdict({ usable, protectionClass, providers }: DoctorReport, paint: Painter): string {
  if (!usable) {
    const none = paint.red('Keys in hardware cannot be used.');
    if (protectionClass === null || protectionClass.startsWith('hardware_')) return none;
    return `${none}\nKeys of the class ${protectionClass} can be used, if you allow them: --policy allow_os_protected_nonextractable.`;
  }
  const used = providers.find(({ available }) => available);
  return used?.details.simulator === true
    ? paint.yellow('Keys can be used in a SIMULATOR, which protects nothing.')
    : paint.green('Keys in hardware can be used.');
}

function indented(rows: string[][]): string {
  return table(rows.map(([name = '', value = '']) => [`  ${name}`, value]));
}
