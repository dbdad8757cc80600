// GraphiQL in a real browser that reaches nothing but the gateway itself.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';

const TABS = ['DailyUsage', 'TopVisitors', 'Chart', 'StoppedComing'];
const PATIENCE = 30_000;

let folder, gateway, base, browser;
let log = '';

before(async () => {
  const binary = process.env.GATEWAY_BIN;
  assert.ok(binary && existsSync(binary), 'GATEWAY_BIN must name the built gateway; run `make test`');
  folder = await mkdtemp(join(tmpdir(), 'graphiql-'));
  const port = await freePort();
  base = `http://127.0.0.1:${port}`;
  // Nothing else is set: the gateway makes its embedded sample database.
  gateway = spawn(binary, { cwd: folder, env: { APP_PORT: String(port) }, stdio: ['ignore', 'ignore', 'pipe'] });
  gateway.stderr.on('data', (chunk) => (log += chunk));
  await ready();
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1'],
  });
});

after(async () => {
  await browser?.close();
  if (gateway) {
    const ended = once(gateway, 'exit');
    gateway.kill('SIGINT');
    const [code] = await ended;
    assert.equal(code, 0, log);
  }
  if (folder) await rm(folder, { recursive: true });
});

test('it opens with examples, without the internet and without a complaint', { timeout: 4 * PATIENCE }, async () => {
  const { page, complaints, requests } = await open();
  assert.deepEqual(await tabs(page), TABS);
  // The documentation shows once the schema was fetched.
  await page.getByRole('button', { name: 'Show Documentation Explorer' }).click();
  await page.locator('.graphiql-doc-explorer').getByRole('link', { name: 'Query' }).click();
  await page.getByText('Reports on the check-ins of a coworking space').first().waitFor();
  if (process.env.SCREENSHOT) await page.screenshot({ path: process.env.SCREENSHOT });
  assert.deepEqual(complaints, []);
  assert.deepEqual(requests.filter((url) => !url.startsWith(base) && !url.startsWith('data:')), []);
  await page.context().close();
});

test('every example runs and shows the rows that the API answers', { timeout: 4 * PATIENCE }, async () => {
  const { page, complaints } = await open();
  for (const tab of TABS) {
    await page.getByRole('tab', { name: tab }).click();
    const shown = await run(page, tab);
    const query = await editor(page, '.graphiql-query-editor');
    const variables = JSON.parse((await editor(page, '.graphiql-editor-tool .graphiql-editor')) || '{}');
    const answered = await ask(query, variables);
    assert.deepEqual(shown, answered);
    assert.equal(answered.errors, undefined, tab);
    const report = Object.values(answered.data)[0];
    assert.ok((report.nodes ?? report).length > 0, `${tab} answers no rows`);
  }
  assert.deepEqual(complaints, []);
  await page.context().close();
});

test('what a visitor wrote is still there after a reload', { timeout: 4 * PATIENCE }, async () => {
  const { page } = await open();
  await page.evaluate(() => document.querySelector('.graphiql-query-editor .CodeMirror').CodeMirror.setValue('query Mine { __typename }'));
  await page.getByRole('tab', { name: 'Mine' }).waitFor();
  await page.waitForFunction(() => JSON.stringify({ ...localStorage }).includes('query Mine'));
  await page.reload();
  await page.getByRole('tab', { name: 'Mine' }).waitFor();
  assert.deepEqual(await run(page), { data: { __typename: 'Query' } });
  await page.context().close();
});

async function open() {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, timezoneId: 'Europe/Berlin' });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  const complaints = [];
  const requests = [];
  page.on('console', (message) => ['error', 'warning'].includes(message.type()) && complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('request', (request) => requests.push(request.url()));
  await page.goto(`${base}/graphiql`);
  await page.locator('.graphiql-query-editor .CodeMirror').waitFor();
  return { page, complaints, requests };
}

const tabs = (page) => page.locator('.graphiql-tab-button').allTextContents();

const editor = (page, selector) =>
  page.evaluate((selector) => document.querySelector(`${selector} .CodeMirror`)?.CodeMirror.getValue(), selector);

// GraphiQL takes a moment to read the operation's name from a tab: press until it runs the one shown.
async function run(page, operation = 'Mine') {
  const isOurs = (request) => request.url() === `${base}/graphql` && request.postDataJSON().operationName !== 'IntrospectionQuery';
  for (;;) {
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
}

async function ask(query, variables) {
  const body = JSON.stringify({ query, variables });
  const response = await fetch(`${base}/graphql`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  return response.json();
}

async function ready() {
  const until = Date.now() + PATIENCE;
  while (Date.now() < until) {
    const answer = await fetch(`${base}/readiness_check`).catch(() => undefined);
    if (answer?.ok) return;
    assert.equal(gateway.exitCode, null, log);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`the gateway never became ready:\n${log}`);
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}
