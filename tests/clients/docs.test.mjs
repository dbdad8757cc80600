// What the documentation asks is answered: the queries of its pages, and those of Grafana's panels.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { PATIENCE, serve } from './gateway.mjs';
import { fromHere } from './tools.mjs';

const uri = serve();
const PAGES = ['README.md', 'docs/reports.md', 'docs/grafana.md', 'docs/graphql.md'];

const read = (path) => readFile(fromHere(`../../${path}`), 'utf8');
const at = (value, path) => path.split('.').reduce((value, name) => value?.[name], value);

async function ask(query) {
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(uri(), { method: 'POST', headers, body: JSON.stringify({ query }), signal: AbortSignal.timeout(PATIENCE) });
  return answer.json();
}

async function answered(query) {
  const { data, errors } = await ask(query);
  assert.equal(errors, undefined, `${query}\n${JSON.stringify(errors)}`);
  return data;
}

test('every query of the pages is answered', { timeout: PATIENCE }, async () => {
  let asked = 0;
  for (const page of PAGES) {
    for (const [, query] of (await read(page)).matchAll(/```graphql\n(.*?)```/gs)) {
      await answered(query);
      asked += 1;
    }
  }
  assert.ok(asked >= 8, `only ${asked} queries were found`);
});

test("the README's command answers in the shape that is shown", { timeout: PATIENCE }, async () => {
  const [, query, shown] = (await read('README.md')).match(/"query":\s*("(?:[^"\\]|\\.)+")\}'\n(\{"data":.*)\n/);
  // A ratio is null where nothing came before.
  const plain = (value) => (value === null ? 'number' : typeof value);
  const shape = (value) => JSON.stringify(value, (_, value) => (value !== null && typeof value === 'object' ? value : plain(value)));
  assert.equal(shape(await ask(JSON.parse(query))), shape(JSON.parse(shown)));
});

test('mistakes have the names that the reports page tells', { timeout: PATIENCE }, async () => {
  const rows = [...(await read('docs/reports.md')).matchAll(/^\| `(\{.*\})` \| `([\w.]+)` \|/gm)];
  assert.ok(rows.length >= 8, `only ${rows.length} mistakes were found`);
  for (const [, query, argument] of rows) {
    const { errors } = await ask(query);
    assert.deepEqual(errors?.map(({ extensions }) => extensions), [{ argument, code: 'BAD_USER_INPUT' }], query);
  }
});

test('every panel of the dashboard is answered, with the columns that it shows', { timeout: 2 * PATIENCE }, async () => {
  const dashboard = JSON.parse(await read('docs/grafana/coworking-analytics.json'));
  const now = Date.now();
  const month = { __from: String(now - 30 * 86_400_000), __to: String(now), timezone: 'Europe/Berlin' };
  const lists = dashboard.templating.list.filter(({ type }) => type === 'custom');
  // Each value of each variable, one after another; the others as the dashboard opens.
  const opened = { ...month, ...Object.fromEntries(lists.map(({ name, current }) => [name, current.value])) };
  const choices = lists.flatMap(({ name, options }) => options.map(({ value }) => ({ ...opened, [name]: value })));
  for (const { title, targets, transformations = [], fieldConfig } of dashboard.panels) {
    const shown = targets.flatMap(({ columns }) => columns.map(({ text }) => text));
    for (const { options } of transformations) {
      const { columnField, rowField, valueField, indexByName = {} } = options;
      if (rowField) shown.push(`${rowField}\\${columnField}`);
      const used = [columnField, rowField, valueField].filter(Boolean).concat(Object.keys(indexByName), Object.keys(options.renameByName ?? {}));
      for (const name of used) assert.ok(shown.includes(name), `${title}: ${name}`);
      shown.push(...Object.values(options.renameByName ?? {}));
    }
    for (const { matcher } of fieldConfig.overrides) assert.ok(shown.includes(matcher.options), `${title}: ${matcher.options}`);
    for (const values of choices) {
      for (const { url_options: options, root_selector: root, columns } of targets) {
        const query = options.body_graphql_query.replace(/\$\{(\w+)\}/g, (_, name) => values[name] ?? assert.fail(name));
        const rows = [at({ data: await answered(query) }, root)].flat();
        assert.ok(rows.length > 0, `${title} is empty`);
        for (const { selector, type } of columns) {
          const cell = at(rows[0], selector);
          assert.notEqual(cell, undefined, `${title}: ${selector}`);
          if (type === 'timestamp_epoch') assert.ok(Number.isInteger(cell) && cell > 1e12, `${title}: ${selector}`);
        }
      }
    }
  }
});
