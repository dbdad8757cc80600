// Builds the page into src/http/pages/dashboard; with --check it says what differs there instead.
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { gunzipSync, gzipSync } from 'node:zlib';
import { codegen } from '@graphql-codegen/core';
import * as operations from '@graphql-codegen/typescript-operations';
import { build, transformSync } from 'esbuild';
import { buildSchema, parse, print, separateOperations, validate } from 'graphql';

const here = (path) => new URL(path, import.meta.url);
const read = (path) => readFileSync(here(path), 'utf8');
const ASSETS = '../src/http/pages/dashboard';
const isCheck = process.argv.includes('--check');
const stale = [];

function keep(path, text) {
  const isCompressed = path.endsWith('.gz');
  const current = () => (isCompressed ? gunzipSync(readFileSync(here(path))).toString() : read(path));
  try {
    if (current() === text) return;
  } catch (error) {
    if (isCheck) console.error(String(error));
  }
  stale.push(path);
  if (!isCheck) writeFileSync(here(path), isCompressed ? gzipSync(text, { level: 9 }) : text);
}

// Documents: their text for whoever runs them, their hash to ask by, their types for the page.
const schema = buildSchema(read('../schema.graphql'));
const document = parse(read('src/documents.graphql'));
const problems = validate(schema, document);
if (problems.length) throw new Error(problems.join('\n'));
const documents = Object.entries(separateOperations(document)).map(([name, operation]) => {
  const text = print(operation);
  const kind = operation.definitions.find(({ kind }) => kind === 'OperationDefinition').operation;
  const type = `${name}${kind === 'subscription' ? 'Subscription' : 'Query'}`;
  return { name, type, text, id: createHash('sha256').update(text).digest('hex') };
});
const types = await codegen({
  schema: parse(read('../schema.graphql')),
  documents: [{ document }],
  filename: 'documents.ts',
  config: {
    enumsAsTypes: true,
    skipTypename: true,
    useTypeImports: true,
    strictScalars: true,
    scalars: { Date: 'string', DateTime: 'string', EpochMillis: 'number', Seconds: 'number', TimeZone: 'string' },
  },
  plugins: [{ operations: {} }],
  pluginMap: { operations },
});
const constants = documents.map(
  ({ name, type, text, id }) =>
    `export const ${name}: Document<${type}, ${type}Variables> = {\n  id: '${id}',\n  text: ${JSON.stringify(text)},\n};\n`,
);
keep(
  'src/documents.ts',
  `// Made of documents.graphql and schema.graphql by build.mjs.\n\n/** A document that the gateway knows by its id. */\n` +
    `export interface Document<Data, Variables> {\n  id: string;\n  text: string;\n  /** For the compiler alone. */\n` +
    `  types?: (variables: Variables) => Data;\n}\n\n${constants.join('\n')}\n${types.trim()}\n`,
);
keep(`${ASSETS}/documents.json`, `${JSON.stringify(Object.fromEntries(documents.map(({ id, text }) => [id, text])), null, 2)}\n`);

const { outputFiles } = await build({
  absWorkingDir: here('.').pathname,
  entryPoints: { dashboard: 'src/main.ts' },
  outdir: 'out',
  bundle: true,
  // Languages are files of their own.
  splitting: true,
  chunkNames: '[name]',
  minify: true,
  write: false,
  format: 'esm',
  target: 'es2022',
  charset: 'utf8',
  legalComments: 'none',
});
for (const { path, text } of outputFiles.filter(({ path }) => path.endsWith('.js'))) keep(`${ASSETS}/${path.split('/').at(-1)}.gz`, text);
const style = outputFiles.find(({ path }) => path.endsWith('.css')).text;
// The page speaks English until its script says otherwise.
const { en } = await import(`data:text/javascript,${encodeURIComponent(transformSync(read('src/words/en.ts'), { loader: 'ts' }).code)}`);
const said = (name) => {
  if (!(name in en.page)) throw new Error(`index.html names ${name}, which src/words/en.ts does not have`);
  return en.page[name].replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;');
};
const page = read('index.html')
  .replace(/data-label="(\w+)"/g, (label, name) => `${label} aria-label="${said(name)}"`)
  .replace(/data-words="(\w+)"[^>]*>/g, (tag, name) => `${tag}${said(name)}`);
// The style comes with the page: it is painted without waiting for another file.
keep(`${ASSETS}/index.html`, page.replace('<style></style>', () => `<style>${style.trim()}</style>`));
const licences = ['uplot/LICENSE', 'graphql-ws/LICENSE.md'];
keep(`${ASSETS}/LICENSES.txt`, licences.map((path) => `${path.split('/')[0]}\n\n${read(`node_modules/${path}`).trim()}\n`).join('\n\n'));

if (isCheck && stale.length) {
  console.error(`not what web/ says: ${stale.join(', ')}; run \`make web\``);
  process.exit(1);
}
