// The pages of the documentation, their code samples, and the modules that the tests make of them.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';

const root = path.join(__dirname, '../..');

export const pages = [
  ...['README.md', 'SECURITY.md', 'CONTRIBUTING.md', 'CHANGELOG.md'],
  ...readdirSync(path.join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

/** The anchor that GitHub gives a heading. */
export function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(' ', '-');
}

const languages = ['js', 'ts', 'json', 'sql', 'sh', 'ini', 'console', 'xml'] as const;

export interface Sample {
  language: (typeof languages)[number];
  /** As on the page. */
  code: string;
  /** The code, after the imports of the page's earlier samples: it may use them. */
  source: string;
}

/** The blocks of a page that are set off as code, in its order. In a list they are indented. */
function blocksOf(page: string): { language: string; code: string }[] {
  const text = readFileSync(path.join(root, page), 'utf8');
  return Array.from(
    text.matchAll(/^( *)```(\S*)\n(.*?)^\1```$/gms),
    ([, indentation, language = '', code = '']) => ({
      language,
      code: code.replaceAll(new RegExp(`^${indentation!}`, 'gm'), ''),
    }),
  );
}

/** The languages of the blocks that are no samples. */
export const otherLanguages = new Set(
  pages
    .flatMap(blocksOf)
    .map(({ language }) => language)
    .filter((language) => !(languages as readonly string[]).includes(language)),
);

/** The samples of a page, in its order. */
export function samplesOf(page: string): Sample[] {
  const imported = new Map<string, string>();
  return blocksOf(page)
    .filter(({ language }) => !otherLanguages.has(language))
    .map(({ language, code }) => {
      const own = new Set<string>();
      for (const [, names, module] of code.matchAll(/^import \{([^}]+)\} from '([^']+)'/gm)) {
        for (const name of names!.split(',').map((name) => name.trim())) {
          own.add(name);
          imported.set(name, module!);
        }
      }
      const before = Array.from(imported)
        .filter(([name]) => !own.has(name))
        .map(([name, module]) => `import { ${name} } from '${module}'; `);
      const sample = { language: language as Sample['language'], code };
      return { ...sample, source: isProgram(sample) ? before.join('') + code : code };
    });
}

/** Whether a sample is JavaScript or TypeScript. */
export function isProgram({ language }: Pick<Sample, 'language'>): boolean {
  return language === 'js' || language === 'ts';
}

/**
 * A sample as a file. Programs are modules that Node.js can load; they export their top-level
 * declarations too, so that a test can use them.
 */
export function fileOf(sample: Sample): { extension: string; text: string } {
  const { language, source } = sample;
  if (!isProgram(sample)) return { extension: `.${language}`, text: source };
  const options = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext };
  const code =
    language === 'ts'
      ? ts.transpileModule(source, { compilerOptions: options }).outputText
      : source;
  const names = declaredNames(code).join(', ');
  return /\brequire\(|\bmodule\.exports\b/.test(code)
    ? { extension: '.cjs', text: `${code}\nObject.assign(module.exports, { ${names} });\n` }
    : { extension: '.mjs', text: `${code}\nexport { ${names} };\n` };
}

/** The names that top-level statements declare without exporting them. */
function declaredNames(code: string): string[] {
  const { statements } = ts.createSourceFile('sample.js', code, ts.ScriptTarget.ES2022);
  return statements
    .filter((statement) => !isExported(statement))
    .flatMap((statement) => {
      if (ts.isVariableStatement(statement)) {
        return statement.declarationList.declarations.flatMap(({ name }) => namesOf(name));
      }
      const named = ts.isFunctionDeclaration(statement) || ts.isClassDeclaration(statement);
      return named && statement.name ? [statement.name.text] : [];
    });
}

function isExported(statement: ts.Statement): boolean {
  if (!ts.canHaveModifiers(statement)) return false;
  const modifiers = ts.getModifiers(statement) ?? [];
  return modifiers.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword);
}

function namesOf(name: ts.BindingName): string[] {
  if (ts.isIdentifier(name)) return [name.text];
  return name.elements.flatMap((element) =>
    ts.isBindingElement(element) ? namesOf(element.name) : [],
  );
}
