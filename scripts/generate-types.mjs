// Generates types/v2.d.ts from types/schema/v2/*.json. With --check it writes nothing and exits
// with 1 when the file is not what it would write.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { compile } from 'json-schema-to-typescript';
import prettier from 'prettier';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');
const schemaDirectory = path.join(root, 'types/schema/v2');
const output = path.join(root, 'types/v2.d.ts');

const banner = `// Generated from types/schema/v2 by \`npm run generate\`. Do not edit: change the schemas.`;

// All schemas as the definitions of one. Compiled one by one, each would bring a copy of the
// definitions that it shares with others.
function combine(title) {
  const definitions = {};
  const files = fs
    .readdirSync(schemaDirectory)
    .filter((file) => file.endsWith('.json'))
    .sort();
  const names = files.map((file) => {
    const schema = JSON.parse(fs.readFileSync(path.join(schemaDirectory, file), 'utf8'));
    const { $schema, definitions: shared = {}, ...own } = schema;
    Object.assign(definitions, shared, { [own.title]: own });
    return own.title;
  });
  return { title, definitions, oneOf: names.map((name) => ({ $ref: `#/definitions/${name}` })) };
}

async function generate() {
  // The compiler starts from one type. This union of all is of no use to anyone and is taken out.
  const entry = 'CompilerEntry';
  const generated = await compile(combine(entry), entry, {
    additionalProperties: false, // unknown members are ignored, not offered
    bannerComment: banner,
  });
  const declarations = generated.replace(new RegExp(`export type ${entry} =[^;]*;\\n`), '');
  if (declarations.includes(entry)) throw new Error(`${entry} is still in the generated types`);
  const style = await prettier.resolveConfig(output);
  return prettier.format(declarations, { ...style, parser: 'typescript' });
}

const wanted = await generate();
if (process.argv.includes('--check')) {
  const found = fs.existsSync(output) ? fs.readFileSync(output, 'utf8') : '';
  if (found !== wanted) {
    console.error('types/v2.d.ts is stale: run `npm run generate` and commit the result');
    process.exitCode = 1;
  }
} else {
  fs.writeFileSync(output, wanted);
}
