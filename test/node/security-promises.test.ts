// The table "Promises and their tests" of SECURITY.md names tests that exist.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

const root = path.join(__dirname, '../..');
const read = (file: string) => readFileSync(path.join(root, file), 'utf8');

const rows = read('SECURITY.md')
  .split('## Promises and their tests')[1]!
  .split('\n')
  .filter((line) => line.startsWith('| ') && !/^\| (-|promise )/.test(line))
  .map((line) => line.split('|').map((cell) => cell.trim()))
  .map(([, promise, tests]): [string, string] => [promise!, tests!]);

const nativeTests = readdirSync(path.join(root, 'test/native'), {
  recursive: true,
  encoding: 'utf8',
})
  .filter((file) => file.endsWith('_test.cc'))
  .map((file) => read(`test/native/${file}`))
  .join('\n');

/** The GoogleTest names of a cell: `Suite.Test`, `Suite`, or `.Test` of the suite before; * ends a prefix. */
function nativeNames(cell: string): string[] {
  let suite = '';
  return Array.from(cell.matchAll(/`([A-Z]\w+)?(?:\.(\w+)(\*)?)?`/g), ([, named, name, more]) => {
    suite = named ?? suite;
    return name === undefined ? `(${suite},` : `(${suite}, ${name}${more === undefined ? ')' : ''}`;
  });
}

test('the table has rows', () => {
  expect(rows.length).toBeGreaterThan(15);
});

test.each(rows)('%s', (_, cell) => {
  const files = Array.from(
    cell.matchAll(/test\/node\/[\w-]+\.test\.ts|test\/\S+\.cc/g),
    ([file]) => file,
  );
  const names = nativeNames(cell);
  expect(files.length + names.length).toBeGreaterThan(0);
  for (const name of names) expect(nativeTests).toContain(name);

  // A test's title follows those of its blocks, so an end of the text must be a title in the file.
  const text = files.map(read).join('\n');
  for (const [, title] of cell.matchAll(/"([^"]+)"/g)) {
    const words = title!.split(' ');
    const ends = words.map(
      (_word, start) => `'${words.slice(start).join(' ').replace('…', '%s')}'`,
    );
    expect(ends.some((end) => text.includes(end))).toBe(true);
  }
});
