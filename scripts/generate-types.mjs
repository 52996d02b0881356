// Generates types/v2.d.ts from types/schema/v2/*.json, and types/extensions.d.ts in the same way.
// With --check it writes nothing, and exits with 1 if a file is out of date.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { compile } from 'json-schema-to-typescript';
import prettier from 'prettier';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');
const sets = ['v2', 'extensions'];

// Combines all schemas as definitions of one. If they were compiled separately, each would contain
// a copy of the shared definitions.
function combine(schemaDirectory, title) {
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

async function generate(set, output) {
  // The compiler needs one type to start from. This union of all types is removed from the result.
  const entry = 'CompilerEntry';
  const schemas = combine(path.join(root, 'types/schema', set), entry);
  const generated = await compile(schemas, entry, {
    additionalProperties: false, // unknown members are ignored, so the types do not have them
    bannerComment: `// Generated from types/schema/${set} by \`npm run generate\`. Do not edit: change the schemas.`,
  });
  const declarations = generated.replace(new RegExp(`export type ${entry} =[^;]*;\\n`), '');
  if (declarations.includes(entry)) throw new Error(`${entry} is still in the generated types`);
  const style = await prettier.resolveConfig(output);
  return prettier.format(declarations, { ...style, parser: 'typescript' });
}

for (const set of sets) {
  const output = path.join(root, `types/${set}.d.ts`);
  const wanted = await generate(set, output);
  if (!process.argv.includes('--check')) {
    fs.writeFileSync(output, wanted);
  } else if (!fs.existsSync(output) || fs.readFileSync(output, 'utf8') !== wanted) {
    console.error(`types/${set}.d.ts is stale: run \`npm run generate\` and commit the result`);
    process.exitCode = 1;
  }
}
