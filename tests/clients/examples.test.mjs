// The examples do what examples/README.md says. That of pandas is not run: what it asks is asked here.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { after, test } from 'node:test';
import { ask, browse, close, open } from './browser.mjs';
import { PATIENCE, serve } from './gateway.mjs';
import { fromHere, run } from './tools.mjs';

const read = (name) => readFile(fromHere(`../../examples/${name}`), 'utf8');

// Of another origin than the gateway, as a page of one's own is.
const site = createServer(async (_, response) => response.setHeader('content-type', 'text/html').end(await read('page.html')));
await once(site.listen(0, '127.0.0.1'), 'listening');
after(() => site.close());
const origin = `http://127.0.0.1:${site.address().port}`;

const uri = serve({ CORS_ORIGINS: origin });
const browser = browse();
const base = () => new URL(uri()).origin;

test('curl.sh is answered all that it asks', { timeout: PATIENCE }, async () => {
  const { PATH } = process.env;
  const { stdout } = await run(fromHere('../../examples/curl.sh'), [], { env: { PATH, GATEWAY: base() }, timeout: PATIENCE });
  assert.match(stdout, /^start,end,label,visits,.*\r\n\d{4}-/m);
  assert.match(stdout, /^\[\{"issued":\d+,/m);
  assert.match(stdout, /^\{"data":\{"usage":\{"totals":\{"visits":\d+\},"previous":\{/m);
  assert.match(stdout, /^200\n304\n/m);
  assert.match(stdout, /^event: next\ndata: \{"data":\{"usage":/m);
  assert.doesNotMatch(stdout, /errors/);
});

test('page.html draws a bar for each day, and says how the gateway has to run where nothing answers', { timeout: 2 * PATIENCE }, async () => {
  const bars = (page) => page.locator('rect').first().waitFor();
  const page = await open(browser(), origin, `/?gateway=${base()}`, { ready: bars });
  assert.equal(await page.locator('rect').count(), 30);
  assert.equal(await page.locator('rect.partial').count(), 1);
  assert.match(await page.locator('#said').textContent(), /^\d+ visits of \d+ members in 30 days, by the calendar of Europe\/Berlin\./);
  await close(page, 'example-page', [new RegExp(`^${base()}/graphql$`)]);

  const hint = (page) => page.getByText('does it run').waitFor();
  const alone = await open(browser(), origin, '/?gateway=http://127.0.0.1:1', { ready: hint });
  assert.match(await alone.locator('#said').textContent(), new RegExp(`CORS_ORIGINS=${origin}`));
  await close(alone, 'example-page-alone', [/127\.0\.0\.1:1\b/, /Failed to load resource/]);
});

test('heatmap.vl.json, and the README for a page, show what the reports have', { timeout: PATIENCE }, async () => {
  const { data, encoding } = JSON.parse(await read('heatmap.vl.json'));
  const [, forPages] = (await read('README.md')).match(/```json\n"data": (.*?)```/s);
  const fields = Object.values(encoding).map(({ field }) => field);
  for (const { url, format } of [data, JSON.parse(forPages)]) {
    const { pathname, search } = new URL(url);
    const answer = await (await fetch(`${base()}${pathname}${search}`)).json();
    const rows = format.property ? format.property.split('.').reduce((value, name) => value?.[name], answer) : answer;
    assert.equal(rows?.length, 7 * 24, JSON.stringify(answer));
    for (const field of fields) assert.ok(field in rows[0], `${url}: ${field}`);
  }
});

test('report.R, observable and visits.pq ask for what there is', { timeout: PATIENCE }, async () => {
  const [r, loader, page, query] = await Promise.all(
    ['report.R', 'observable/src/visits.json.sh', 'observable/src/index.md', 'visits.pq'].map(read),
  );
  const addresses = [...`${r}\n${loader}`.matchAll(/\/api\/reports\/[^"\s]+/g)].map(([address]) => address);
  assert.equal(addresses.length, 3);
  const parameters = new URLSearchParams([...query.match(/Query = \[(.*)\]/)[1].matchAll(/(\w+) = "([^"]+)"/g)].map(([, ...pair]) => pair));
  addresses.push(`/${query.match(/RelativePath = "(.*)"/)[1]}?${parameters}`);
  const answers = addresses.map(async (address) => {
    const answer = await fetch(`${base()}${address}`);
    assert.equal(answer.status, 200, address);
    return answer.text();
  });
  const [days, periods, shown, listed] = await Promise.all(answers);
  for (const column of ['label', 'visits', 'is_partial']) {
    assert.ok(days.split('\r\n')[0].split(',').includes(column) && r.includes(`$${column}`), column);
    assert.ok(column in JSON.parse(shown)[0] && page.includes(column), column);
  }
  for (const column of ['cohort_label', 'period', 'active']) assert.ok(column in JSON.parse(periods.split('\n')[0]) && r.includes(column), column);
  const typed = [...query.matchAll(/\{"(\w+)", /g)].map(([, column]) => column);
  for (const column of typed) assert.ok(listed.split('\r\n')[0].split(',').includes(column), column);
  assert.equal(typed.length, 4);
});

test('pandas_report.py asks for what there is', { timeout: PATIENCE }, async () => {
  const script = await read('pandas_report.py');
  const [, query] = script.match(/"""\n(query .*?)"""/s);
  const { retention } = await ask(base(), query, { timeZone: 'Europe/Berlin' });
  assert.ok(retention.length > 0);
  const [, name, keywords] = script.match(/= report\("(\w+)", (.*)\)/);
  const parameters = new URLSearchParams([...keywords.matchAll(/(\w+)="(\w+)"/g)].map(([, key, value]) => [key, value]));
  const answer = await fetch(`${base()}/api/reports/${name}?${parameters}&format=csv`);
  const columns = (await answer.text()).split('\r\n')[0].split(',');
  for (const column of ['label', 'visits', 'is_partial']) assert.ok(columns.includes(column) && script.includes(`"${column}"`), column);
});
