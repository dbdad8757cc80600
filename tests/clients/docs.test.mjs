// What the documentation asks is answered: the queries of its pages, and those of Grafana's panels.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { PATIENCE, serve } from './gateway.mjs';
import { fromHere } from './tools.mjs';

const uri = serve();
const PAGES = ['README.md', 'docs/reports.md', 'docs/grafana.md', 'docs/graphql.md'];

const read = (path) => readFile(fromHere(`../../${path}`), 'utf8');

async function ask(query) {
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(uri(), { method: 'POST', headers, body: JSON.stringify({ query }) });
  const { data, errors } = await answer.json();
  assert.equal(errors, undefined, `${query}\n${JSON.stringify(errors)}`);
  return data;
}

test('every query of the pages is answered', { timeout: PATIENCE }, async () => {
  let asked = 0;
  for (const page of PAGES) {
    for (const [, query] of (await read(page)).matchAll(/```graphql\n(.*?)```/gs)) {
      await ask(query);
      asked += 1;
    }
  }
  assert.ok(asked >= 8, `only ${asked} queries were found`);
});

test('every panel of the dashboard is answered, with the columns that it shows', { timeout: PATIENCE }, async () => {
  const dashboard = JSON.parse(await read('docs/grafana/coworking-analytics.json'));
  const now = Date.now();
  const values = { __from: String(now - 30 * 86_400_000), __to: String(now), timezone: 'Europe/Berlin', granularity: 'DAY' };
  for (const { title, targets } of dashboard.panels) {
    for (const { url_options: options, root_selector: root, columns } of targets) {
      const query = options.body_graphql_query.replace(/\$\{(\w+)\}/g, (_, name) => values[name] ?? assert.fail(name));
      const found = root.split('.').reduce((value, name) => value[name], { data: await ask(query) });
      const rows = [found].flat();
      assert.ok(rows.length > 0, `${title} is empty`);
      for (const { selector, type } of columns) {
        const cell = selector.split('.').reduce((value, name) => value[name], rows[0]);
        assert.notEqual(cell, undefined, `${title}: ${selector}`);
        if (type === 'timestamp_epoch') assert.ok(Number.isInteger(cell) && cell > 1e12, `${title}: ${selector}`);
      }
    }
  }
});
