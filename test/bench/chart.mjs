// The chart of docs/performance.svg: medians as bars, on a logarithmic axis.
import { isOurs, labelOf } from './contenders/index.mjs';

const width = 800;
const left = 300;
const right = 90;
const barHeight = 18;
const step = 24;

const duration = (us) => (us < 1000 ? `${Math.round(us)} µs` : `${(us / 1000).toPrecision(2)} ms`);

function bars(title, byContender, top, scale) {
  const rows = Object.entries(byContender).sort(([, a], [, b]) => a.median - b.median);
  const lines = [`<text x="0" y="${top}" class="title">${title}</text>`];
  rows.forEach(([contender, { median }], index) => {
    const y = top + 12 + index * step;
    const kind = isOurs(contender) ? 'ours' : 'other';
    const length = Math.max(1, scale(median));
    lines.push(
      `<text x="${left - 8}" y="${y + 13}" text-anchor="end">${labelOf(contender)}</text>`,
      `<rect x="${left}" y="${y}" width="${length.toFixed(1)}" height="${barHeight}" class="${kind}"/>`,
      `<text x="${(left + length + 6).toFixed(1)}" y="${y + 13}">${duration(median)}</text>`,
    );
  });
  return { lines, bottom: top + 12 + rows.length * step };
}

export function chart({ machine, operations }) {
  const all = [operations.sign, operations.create].flatMap((group) =>
    Object.values(group).map(({ median }) => median),
  );
  const low = Math.log10(Math.min(...all) / 2);
  const high = Math.log10(Math.max(...all));
  const scale = (us) => ((Math.log10(us) - low) / (high - low)) * (width - left - right);
  const sign = bars('One signature', operations.sign, 20, scale);
  const create = bars('One new key', operations.create, sign.bottom + 34, scale);
  const height = create.bottom + 30;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">
<style>
text { font: 13px system-ui, sans-serif; fill: #57606a }
.title { font-weight: 600; font-size: 15px }
.ours { fill: #1f6feb }
.other { fill: #8c959f }
</style>
${[...sign.lines, ...create.lines].join('\n')}
<text x="0" y="${height - 8}">Medians on a logarithmic axis; swtpm ${machine.swtpm}, ${machine.cpu}, Node.js ${machine.node}.</text>
</svg>
`;
}
