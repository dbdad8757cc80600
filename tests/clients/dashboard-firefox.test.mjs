// The core of what people see at /, in Firefox: numbers, a choice, a live change, a key, a file, paper, German.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { ZONE, ask } from './browser.mjs';
import { ENTER, Firefox, MISSING } from './firefox.mjs';
import { Gateway, PATIENCE } from './gateway.mjs';

const LIMIT = { timeout: 6 * PATIENCE, skip: MISSING };

let gateway;
let firefox;
let key;
before(async () => {
  if (MISSING) return;
  const made = spawnSync(resolve(process.env.GATEWAY_BIN), ['key', 'new', 'desk', '--scopes', 'reports,members', '--until', '2099-01-01'], { encoding: 'utf8' });
  const [[line]] = [made.stderr.match(/^desk .*$/m)];
  [key] = made.stdout.match(/cwa_\S+/);
  [gateway, firefox] = await Promise.all([Gateway.start({ ANONYMOUS_SCOPES: 'reports', API_KEYS: line }), Firefox.start()]);
}, { timeout: 4 * PATIENCE });
after(async () => {
  await firefox?.stop();
  await gateway?.stop();
}, { timeout: 3 * PATIENCE });

const answered = () => firefox.until(() => document.body && !document.body.hasAttribute('aria-busy'));
const text = (selector) => firefox.evaluate((selector) => document.querySelector(selector)?.textContent, selector);
const tiles = () => firefox.evaluate(() => [...document.querySelectorAll('.tile .number')].map(({ textContent }) => textContent));
const whole = (value, locale = 'en-GB') => new Intl.NumberFormat(locale).format(value);
const totals = async (range) => (await ask(gateway.base, `{ usage(filter: { range: ${range} }, timeZone: "${ZONE}", basis: USED_AT) { totals { visits uniqueVisitors tokensIssued } } }`)).usage.totals;
const silent = () => assert.deepEqual(firefox.complaints.splice(0), []);

async function open(path = '/') {
  await firefox.go(`${gateway.base}${path}`);
  await answered();
}

test('Firefox shows the numbers of the API, and takes a key by Enter for the members', LIMIT, async () => {
  await open();
  const { visits, uniqueVisitors, tokensIssued } = await totals('LAST_30_DAYS');
  assert.deepEqual((await tiles()).slice(0, 3), [visits, uniqueVisitors, tokensIssued].map((value) => whole(value)));
  const isDrawn = await firefox.evaluate(() => {
    const canvas = document.querySelector('#usage canvas');
    return canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some((value) => value);
  });
  assert.ok(isDrawn);
  await firefox.evaluate(() => document.querySelector('#usage [role=slider]').focus());
  await firefox.type('\ue011'); // Home
  assert.ok(await firefox.until(() => document.querySelector('#usage .readout').textContent.includes('Visits')));
  assert.match(await text('#members .notice'), /access key with the scope “members”/);
  await firefox.click('#key');
  await firefox.until(() => document.querySelector('#key-dialog').open && document.activeElement.name === 'key');
  await firefox.type(`${key}${ENTER}`);
  await firefox.until(() => document.querySelectorAll('#members tbody tr').length === 15);
  assert.equal(await firefox.evaluate(() => document.querySelector('#key-dialog').open), false);
  const question = '{ members(first: 15, filter: { isActive: true }, orderBy: { field: LAST_VISIT_AT, direction: DESC }) { nodes { userId } } }';
  const { members } = await ask(gateway.base, question, {}, { 'x-api-key': key });
  const listed = await firefox.evaluate(() => [...document.querySelectorAll('#members tbody th')].map(({ textContent }) => Number(textContent)));
  assert.deepEqual(listed, members.nodes.map(({ userId }) => userId));
  const [width, room] = await firefox.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(width <= room, `${width} of ${room}`);
  const folder = process.env.SCREENSHOT_DIR;
  if (folder) {
    const { data } = await firefox.send('browsingContext.captureScreenshot', { context: firefox.context, origin: 'document' });
    await writeFile(join(folder, 'dashboard-firefox.png'), data, 'base64');
  }
  silent();
});

test('Firefox follows a choice, back again, and a door that opens', LIMIT, async () => {
  await open();
  const month = await tiles();
  await firefox.evaluate(() => {
    const range = document.querySelector('[name=range]');
    range.value = 'LAST_7_DAYS';
    range.dispatchEvent(new Event('change', { bubbles: true }));
  });
  const { visits } = await totals('LAST_7_DAYS');
  const shows = (expected) => firefox.until((expected) => document.querySelector('.tile .number').textContent === expected, expected);
  await shows(whole(visits));
  assert.match(await firefox.evaluate(() => location.search), /range=LAST_7_DAYS/);
  await firefox.until(() => document.querySelector('#live').dataset.state === 'live');
  gateway.use();
  await shows(whole(visits + 1));
  await firefox.evaluate(() => history.back());
  await firefox.until(() => document.querySelector('[name=range]').value === 'LAST_30_DAYS');
  await shows(whole(Number(month[0].replaceAll(',', '')) + 1));
  silent();
});

test('Firefox saves the rows of the chart, and prints the page on few sheets', LIMIT, async () => {
  await open('/?range=LAST_7_DAYS');
  await firefox.click('#usage .tools button');
  const file = join(firefox.downloads, 'coworking-usage.csv');
  const end = Date.now() + PATIENCE;
  // It is whole once its place holder is gone.
  for (let names = []; !names.includes('coworking-usage.csv') || names.some((name) => name.endsWith('.part')); names = await readdir(firefox.downloads)) {
    assert.ok(Date.now() < end, names.join());
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const [, ...rows] = (await readFile(file, 'utf8')).trimEnd().split('\r\n');
  const { usage } = await ask(gateway.base, `{ usage(filter: { range: LAST_7_DAYS }, timeZone: "${ZONE}", basis: USED_AT, gaps: ZERO) { buckets { label visits } } }`);
  assert.deepEqual(rows.map((row) => row.split(',').slice(0, 2)), usage.buckets.map(({ label, visits }) => [label, String(visits)]));
  const pdf = await firefox.print();
  assert.ok(pdf.subarray(0, 5).equals(Buffer.from('%PDF-')));
  const pages = Number(/Pages:\s+(\d+)/.exec(execFileSync('pdfinfo', ['-'], { input: pdf, encoding: 'utf8' }))?.[1]);
  assert.ok(pages >= 1 && pages <= 3, `${pages} pages`);
  silent();
});

test('Firefox speaks German where the link does', LIMIT, async () => {
  await open('/?lang=de');
  assert.equal(await firefox.evaluate(() => document.documentElement.lang.slice(0, 2)), 'de');
  const { visits } = await totals('LAST_30_DAYS');
  assert.equal((await tiles())[0], whole(visits, 'de'));
  assert.equal(await text('#usage-title'), 'Besuche im Lauf der Zeit');
  silent();
});
