import { providerText } from '../doctor/text';
import { oneLine, painter, printable, table, type Painter } from '../output';
import type { Check, LeftBehind, SelfTestReport } from './report';

/** The report, for people. */
export function reportText(report: SelfTestReport): string {
  const paint = painter(process.stdout);
  const { versions, providers, checks, protectionClass, leftBehind } = report;
  const title = [
    `node-device-key ${versions.nodeDeviceKey} self-test`,
    `Node.js ${versions.node}`,
    versions.platform,
    versions.system,
  ];
  const sections = [
    title.join(', '),
    ...providers.map((provider) => providerText(provider, paint)),
    `expected protection: ${protectionClass ?? 'none'}`,
    checksText(checks, paint),
    ...checks.filter(({ error }) => error !== null).map((check) => failureText(check, paint)),
  ];
  if (leftBehind) sections.push(leftBehindText(leftBehind));
  sections.push(
    report.passed ? paint.green('The self-test passed.') : paint.red('The self-test FAILED.'),
  );
  return sections.join('\n\n');
}

function checksText(checks: Check[], paint: Painter): string {
  const rows = checks.map(({ name, milliseconds, detail }) => [
    name,
    `${milliseconds.toFixed(1)} ms`,
    printable(detail ?? ''),
  ]);
  const lines = table(rows).split('\n');
  return checks
    .map(({ passed }, index) => {
      const label = passed ? paint.green('ok    ') : paint.red('FAILED');
      return `${label}  ${lines[index] ?? ''}`;
    })
    .join('\n');
}

function failureText({ name, error }: Check, paint: Painter): string {
  const status = error?.platformStatus === undefined ? '' : `, status ${error.platformStatus}`;
  const code = `[${error?.code ?? 'unexpected'}${status}]`;
  return `${paint.red(`${name} failed`)} ${code}: ${oneLine(error?.message ?? '')}`;
}

export function leftBehindText({ directory, keyIds }: LeftBehind): string {
  return (
    `These keys may still exist: ${keyIds.join(', ')}. Their records are in ${printable(directory)}; ` +
    'to delete one: device-key delete KEY_ID --directory DIR'
  );
}
