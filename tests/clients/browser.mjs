// The gateway's pages in a real browser that reaches nothing but the gateway itself.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { chromium } from 'playwright-core';
import { PATIENCE } from './gateway.mjs';

export const ZONE = 'Europe/Berlin';

export function launch(options = {}) {
  return chromium.launch({
    ...options,
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    timeout: PATIENCE,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1'],
  });
}

// A browser for as long as the tests of a file take.
export function browse() {
  let browser;
  before(async () => (browser = await launch()), { timeout: 3 * PATIENCE });
  after(() => browser?.close(), { timeout: 3 * PATIENCE });
  return () => browser;
}

// What pages said on their console, and what they asked of others than the gateway: nothing, at best.
const complaints = new WeakMap();

export async function open(browser, base, path = '/', { prepare, ready = answered, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, timezoneId: ZONE, locale: 'en-GB', ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  const heard = [];
  complaints.set(page, heard);
  page.on('console', (message) => ['error', 'warning'].includes(message.type()) && heard.push(message.text()));
  page.on('pageerror', (error) => heard.push(String(error)));
  page.on('websocket', (socket) => socket.url() !== `${base.replace('http', 'ws')}/graphql/ws` && heard.push(socket.url()));
  context.on('request', (request) => {
    const { origin, protocol } = new URL(request.url());
    if (origin !== base && !['data:', 'blob:'].includes(protocol)) heard.push(request.url());
  });
  await page.addInitScript(() => {
    // How much what is already there jumped: https://web.dev/articles/cls
    window.shifted = 0;
    new PerformanceObserver((list) => list.getEntries().forEach(({ value, hadRecentInput }) => (window.shifted += hadRecentInput ? 0 : value))).observe({
      type: 'layout-shift',
      buffered: true,
    });
  });
  await prepare?.(page);
  await page.goto(`${base}${path}`);
  await ready(page);
  return page;
}

// Until the dashboard shows an answer, and has nothing under way.
export const answered = (page) => page.waitForFunction(() => !document.body.hasAttribute('aria-busy'));

// Ends what was opened; it must not have complained, but as expected.
export async function close(page, name, expected = []) {
  const folder = process.env.SCREENSHOT_DIR;
  if (folder) await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
  await page.context().close();
  const heard = complaints.get(page).filter((text) => !expected.some((pattern) => pattern.test(text)));
  assert.deepEqual(heard, []);
}

// The rows of a table, as text; the first is its head.
export const rows = (page, selector) =>
  page.locator(selector).evaluate((table) => [...table.rows].map((row) => [...row.cells].map((cell) => cell.textContent.trim())));

export const texts = (page, selector) => page.locator(selector).allTextContents();

export async function ask(base, query, variables, headers = {}) {
  const response = await fetch(`${base}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ query, variables }),
    signal: AbortSignal.timeout(PATIENCE),
  });
  const { data, errors } = await response.json();
  assert.equal(errors, undefined, JSON.stringify(errors));
  return data;
}
