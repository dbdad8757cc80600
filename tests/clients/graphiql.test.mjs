// GraphiQL in a real browser that reaches nothing but the gateway itself.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { browse, close, open as openPage } from './browser.mjs';
import { Gateway, PATIENCE } from './gateway.mjs';

// The page's examples, by the names of their operations.
const START = readFileSync(new URL('../../src/http/pages/graphiql/start.js', import.meta.url), 'utf8');
const named = (kind) => [...START.matchAll(new RegExp(`^${kind} (\\w+)`, 'gm'))].map(([, name]) => name);
const QUERIES = named('query');
const TABS = [...QUERIES, ...named('subscription')];
assert.ok(QUERIES.length >= 9, 'the examples are not found');

const browser = browse();

let gateway, base;

before(async () => {
  gateway = await Gateway.start();
  base = gateway.base;
}, { timeout: 3 * PATIENCE });
after(() => gateway?.stop(), { timeout: 3 * PATIENCE });

const open = () =>
  openPage(browser(), base, '/graphiql', {
    viewport: { width: 1440, height: 800 },
    ready: (page) => page.locator('.graphiql-query-editor .CodeMirror').waitFor(),
  });

test('it opens with examples, without the internet and without a complaint', { timeout: 4 * PATIENCE }, async () => {
  const page = await open();
  assert.deepEqual(await tabs(page), TABS);
  // The documentation shows once the schema was fetched.
  await page.getByRole('button', { name: 'Show Documentation Explorer' }).click();
  await page.locator('.graphiql-doc-explorer').getByRole('link', { name: 'Query' }).click();
  await page.getByText('Reports on the check-ins of a coworking space').first().waitFor();
  await close(page, 'graphiql-opened');
});

test('every example runs and shows the rows that the API answers', { timeout: 4 * PATIENCE }, async () => {
  const page = await open();
  for (const tab of QUERIES) {
    await page.getByRole('tab', { name: tab }).click();
    const shown = await run(page, tab);
    const query = await editor(page, '.graphiql-query-editor');
    const variables = JSON.parse((await editor(page, '.graphiql-editor-tool .graphiql-editor')) || '{}');
    const answered = await ask(query, variables);
    assert.deepEqual(shown, answered);
    assert.equal(answered.errors, undefined, tab);
    const report = Object.values(answered.data)[0];
    const rows = report.nodes ?? report.buckets ?? report.peakHours ?? [report].flat();
    assert.ok(rows.length > 0, `${tab} answers no rows`);
  }
  await close(page, 'graphiql-answered');
});

test('a subscription shows what changes', { timeout: 4 * PATIENCE }, async () => {
  const page = await open();
  await page.getByRole('tab', { name: 'Live' }).click();
  // GraphiQL takes a moment to read the tab: press until it runs the one shown.
  for (let socket, press = 0; !socket && press < 10; press++) {
    const opened = page.waitForEvent('websocket', { timeout: 3_000 }).catch(() => undefined);
    await page.locator('.graphiql-execute-button').click();
    socket = await opened;
  }
  const shows = (issued) =>
    page.waitForFunction((text) => document.querySelector('.result-window .CodeMirror')?.CodeMirror.getValue().includes(text), `"tokensIssued": ${issued},`);
  const today = async () => (await ask('{ dailyUsage(orderBy: { direction: DESC }, first: 1) { date tokensIssued } }')).data.dailyUsage[0];
  const { date, tokensIssued } = await today();
  await shows(tokensIssued);
  gateway.issue(`${date} 00:00:00`, 3);
  await shows(tokensIssued + 3);
  await close(page, 'graphiql-live');
});

test('what a visitor wrote is still there after a reload', { timeout: 4 * PATIENCE }, async () => {
  const page = await open();
  await page.evaluate(() => document.querySelector('.graphiql-query-editor .CodeMirror').CodeMirror.setValue('query Mine { __typename }'));
  await page.getByRole('tab', { name: 'Mine' }).waitFor();
  // Tabs are stored a moment after the query itself.
  await page.waitForFunction(() => localStorage.getItem('graphiql:tabState')?.includes('query Mine'));
  await page.reload();
  await page.getByRole('tab', { name: 'Mine' }).waitFor();
  assert.deepEqual(await tabs(page), ['Mine', ...TABS.slice(1)]);
  assert.deepEqual(await run(page, 'Mine'), { data: { __typename: 'Query' } });
  await close(page, 'graphiql-reloaded');
});

const tabs = (page) => page.locator('.graphiql-tab-button').allTextContents();

const editor = (page, selector) =>
  page.evaluate((selector) => document.querySelector(`${selector} .CodeMirror`)?.CodeMirror.getValue(), selector);

// GraphiQL takes a moment to read the operation's name from a tab: press until it runs the one shown.
async function run(page, operation) {
  const isOurs = (request) => request.url() === `${base}/graphql` && request.postDataJSON().operationName !== 'IntrospectionQuery';
  for (let press = 0; press < 20; press++) {
    const answered = page.waitForResponse((response) => isOurs(response.request()));
    await page.locator('.graphiql-execute-button').click();
    const response = await answered;
    const text = JSON.stringify(await response.json(), null, 2);
    await page.waitForFunction(
      (text) => document.querySelector('.result-window .CodeMirror')?.CodeMirror.getValue() === text,
      text,
    );
    if (response.request().postDataJSON().operationName === operation) return JSON.parse(await editor(page, '.result-window'));
  }
  assert.fail(`${operation} never ran`);
}

async function ask(query, variables) {
  const body = JSON.stringify({ query, variables });
  const response = await fetch(`${base}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
    signal: AbortSignal.timeout(PATIENCE),
  });
  return response.json();
}
