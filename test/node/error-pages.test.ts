// Every error code has a cause and a cure in the documentation.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';

const root = path.join(__dirname, '../..');
const read = (file: string) => readFileSync(path.join(root, file), 'utf8');

/** The string literals of a union type that a source declares. */
function membersOf(file: string, type: string): string[] {
  const source = ts.createSourceFile(file, read(file), ts.ScriptTarget.ES2022);
  const declaration = source.statements.find(
    (statement) => ts.isTypeAliasDeclaration(statement) && statement.name.text === type,
  ) as ts.TypeAliasDeclaration;
  return (declaration.type as ts.UnionTypeNode).types.map(
    (member) => ((member as ts.LiteralTypeNode).literal as ts.StringLiteral).text,
  );
}

/** The rows of the tables of pages as cells, by each code in the first cell. */
function rowsByCode(...pages: string[]): Map<string, string[]> {
  const text = pages.map(read).join('');
  const rows = Array.from(text.matchAll(/^\| (`.*) \|$/gm), ([, row]) => row!.split(' | '));
  return new Map(
    rows.flatMap((row) =>
      Array.from(row[0]!.matchAll(/`([a-z0-9_]+)`/g), ([, code]) => [code!, row]),
    ),
  );
}

test.each([
  [['docs/errors.md'], 'lib/errors.ts', 'DeviceKeyErrorCode'],
  [['docs/verify.md', 'docs/attestation.md'], 'lib/verify/error.ts', 'DeviceKeyVerificationCode'],
])('%j describe the cause and the cure of each code of %s', (pages, source, type) => {
  const rows = rowsByCode(...pages);
  const incomplete = membersOf(source, type).filter((code) => {
    const cells = rows.get(code) ?? [];
    return cells.length !== 3 || cells.some((cell) => cell.trim() === '');
  });
  expect(incomplete).toEqual([]);
});

test('docs/errors.md has no unknown code', () => {
  const known = membersOf('lib/errors.ts', 'DeviceKeyErrorCode');
  expect([...rowsByCode('docs/errors.md').keys()].filter((code) => !known.includes(code))).toEqual(
    [],
  );
});
