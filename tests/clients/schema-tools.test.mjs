// What tools make of the schema, by the file that is published and by what the gateway tells of itself.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { diff, validate } from '@graphql-inspector/core';
import { buildClientSchema, buildSchema, getIntrospectionQuery, printSchema, Source } from 'graphql';
import { request } from 'graphql-request';
import { HALF_WRONG, newYear, UNKNOWN_FIELD } from './clients.mjs';
import { PATIENCE, serve } from './gateway.mjs';
import { fromHere, run } from './tools.mjs';

const sdlFile = fromHere('../../schema.graphql');
const sdl = await readFile(sdlFile, 'utf8');
const examples = await shownExamples();

const uri = serve();

test('graphql-codegen generates the same types from both', { timeout: 4 * PATIENCE }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'schema-tools-'));
  t.after(() => rm(folder, { recursive: true }));
  const fromFile = await generate(join(folder, 'file'), sdlFile);
  const fromGateway = await generate(join(folder, 'gateway'), uri());
  assert.deepEqual(fromGateway, fromFile);
  const { types, operations } = fromFile;
  holds(types, `export type DailyUsage = {
    __typename?: 'DailyUsage';
    conversionRate?: Maybe<Scalars['Float']['output']>;
    cumulative?: Maybe<Scalars['Int']['output']>;
    date: Scalars['Date']['output'];
    isPartial: Scalars['Boolean']['output'];
    rollingAverage?: Maybe<Scalars['Float']['output']>;
    startsAt: Scalars['DateTime']['output'];
    startsAtMillis: Scalars['EpochMillis']['output'];
    tokensIssued?: Maybe<Scalars['Int']['output']>;
    tokensUnused?: Maybe<Scalars['Int']['output']>;
    uniqueVisitors?: Maybe<Scalars['Int']['output']>;
    visits?: Maybe<Scalars['Int']['output']>;
  };`);
  holds(types, 'EpochMillis: { input: number; output: number; }');
  holds(types, "export enum TimeBasis { IssuedAt = 'ISSUED_AT', UsedAt = 'USED_AT' }");
  holds(operations, 'export type BusyQueryVariables = Exact<{ timeZone: string; }>;');
  holds(operations, `export type DailyUsageQuery = { dailyUsage: Array<{
    date: string, visits: number | null, uniqueVisitors: number | null, rollingAverage: number | null,
    isPartial: boolean }> | null };`);
  holds(operations, `export type NewYearQueryVariables = Exact<{
    filter?: DailyUsageFilterInput | null | undefined;
    timeZone: string;
    userIds?: Array<number> | number | null | undefined;
  }>;`);
});

test('graphql-inspector finds no change between both', { timeout: PATIENCE }, async () => {
  assert.deepEqual(await diff(buildSchema(sdl), await introspected()), []);
});

test('graphql-inspector would find a change', { timeout: PATIENCE }, async () => {
  const changes = await diff(buildSchema(sdl.replace('visits: Int\n', 'visits: Int!\n')), await introspected());
  assert.deepEqual(changes.map(({ path, criticality }) => [path, criticality.level]), [['DailyUsage.visits', 'BREAKING']]);
});

test('graphql-inspector accepts the documents that visitors are shown', { timeout: PATIENCE }, async () => {
  const sources = [...examples, newYear('NewYear'), HALF_WRONG].map((body, at) => new Source(body, `example ${at}`));
  assert.deepEqual(validate(await introspected(), sources), []);
});

test('graphql-inspector refuses what is not in the schema', { timeout: PATIENCE }, async () => {
  const refused = validate(await introspected(), [new Source(UNKNOWN_FIELD)]);
  assert.deepEqual(refused.flatMap(({ errors }) => errors.map(({ message }) => message)), ['Cannot query field "nope" on type "DailyUsage".']);
});

// Printed and read again: graphql-inspector finds @specifiedBy in texts only.
async function introspected() {
  const introspection = await request(uri(), getIntrospectionQuery({ specifiedByUrl: true, inputValueDeprecation: true }));
  return buildSchema(printSchema(buildClientSchema(introspection)));
}

// Runs the command as a project would that keeps its queries in a file.
async function generate(folder, schema) {
  const path = (file) => join(folder, file);
  await mkdir(folder);
  const named = examples.filter((example) => /^query \w/m.test(example));
  await writeFile(path('documents.graphql'), [...named, newYear('NewYear')].join('\n'));
  const scalars = { Date: 'string', DateTime: 'string', EpochMillis: 'number', Seconds: 'number', TimeZone: 'string' };
  // Without comments: the tool takes those of scalars from files only.
  const config = { scalars, strictScalars: true, disableDescriptions: true };
  const generates = {
    [path('types.ts')]: { plugins: ['typescript'] },
    [path('operations.ts')]: { plugins: ['typescript-operations'] },
  };
  await writeFile(path('codegen.json'), JSON.stringify({ schema, documents: path('documents.graphql'), config, generates }));
  await run(fromHere('node_modules/.bin/graphql-codegen'), ['--config', path('codegen.json')], { timeout: PATIENCE });
  return { types: await readFile(path('types.ts'), 'utf8'), operations: await readFile(path('operations.ts'), 'utf8') };
}

// However the tool breaks its lines.
function holds(text, part) {
  const flat = (text) => text.replace(/,?\s+/g, ' ');
  assert.ok(flat(text).includes(flat(part)), `${part}\n is not in\n${text}`);
}

// GraphiQL's tabs, and the README's command.
async function shownExamples() {
  const find = async (path, pattern) => {
    const found = [...(await readFile(fromHere(path), 'utf8')).matchAll(pattern)].map(([, example]) => example);
    assert.ok(found.length > 0, `no examples in ${path}`);
    return found;
  };
  return [
    ...(await find('../../src/http/pages/graphiql/start.js', /query: `([^`]+)`/g)),
    ...(await find('../../README.md', /"query":\s*("(?:[^"\\]|\\.)+")/g)).map((text) => JSON.parse(text)),
  ];
}
