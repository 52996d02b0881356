// Every error code has a cause and a cure in the documentation.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';

import { anchorOf } from '../support/samples';

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

/** The rows of the tables of a text as cells, by each code in the first cell. */
function rowsByCode(text: string): Map<string, string[]> {
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
  const rows = rowsByCode(pages.map(read).join(''));
  const incomplete = membersOf(source, type).filter((code) => {
    const cells = rows.get(code) ?? [];
    return cells.length !== 3 || cells.some((cell) => cell.trim() === '');
  });
  expect(incomplete).toEqual([]);
});

test('docs/errors.md has no unknown code', () => {
  const known = membersOf('lib/errors.ts', 'DeviceKeyErrorCode');
  const named = [...rowsByCode(read('docs/errors.md')).keys()];
  expect(named.filter((code) => !known.includes(code))).toEqual([]);
});

describe('the index of docs/troubleshooting.md', () => {
  const index = rowsByCode(read('docs/troubleshooting.md'));

  test('has each code, in alphabetical order', () => {
    const known = membersOf('lib/errors.ts', 'DeviceKeyErrorCode');
    expect([...index.keys()]).toEqual(known.sort());
  });

  test('has a cause of its own for each code, and a link to the table with the cure', () => {
    const sections = read('docs/errors.md').split(/^## /m);
    const cures = new Map(
      sections.map((section) => [anchorOf(section.split('\n')[0]!), rowsByCode(section)]),
    );
    const wrong = Array.from(index).filter(([code, [, cause = '', link = '']]) => {
      const [, anchor = ''] = /^\[[^\]]+\]\(errors\.md#([\w-]+)\)$/.exec(link) ?? [];
      const cure = cures.get(anchor)?.get(code);
      return cause.trim() === '' || cure === undefined || cure[1] === cause;
    });
    expect(wrong).toEqual([]);
  });
});
