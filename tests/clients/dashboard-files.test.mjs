// What people take along from /: files, pictures and paper.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import pixelmatch from 'pixelmatch';
import { PNG } from 'pngjs';
import { ZONE, answered, ask, browse, close, open, texts } from './browser.mjs';
import { Gateway, PATIENCE } from './gateway.mjs';

const LIMIT = { timeout: 6 * PATIENCE };
const browser = browse();

let gateway;
before(async () => (gateway = await Gateway.start()), { timeout: 3 * PATIENCE });
after(() => gateway?.stop(), { timeout: 2 * PATIENCE });

async function saved(page, name) {
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name, exact: true }).click()]);
  return readFile(await download.path());
}

const cells = (csv) => csv.toString().trimEnd().split('\r\n').map((line) => line.split(','));
const dateIn = (zone) => (at) => at && new Intl.DateTimeFormat('sv-SE', { timeZone: zone }).format(new Date(at));

test('the file of members has all of the segment, and local dates', LIMIT, async () => {
  const day = dateIn(ZONE);
  for (const [search, list] of [
    ['/?segment=LAPSING&sort=VISITS&direction=DESC', { segment: 'LAPSING', filter: { isActive: true }, orderBy: { field: 'VISITS', direction: 'DESC' } }],
    ['/?segment=NEVER_CAME&ended=1&sort=USER_ID&direction=ASC', { segment: 'NEVER_CAME', orderBy: { field: 'USER_ID', direction: 'ASC' } }],
    ['/?member=7', { filter: { userIds: [7] } }],
  ]) {
    const page = await open(browser(), gateway.base, search, { acceptDownloads: true });
    const nodes = [];
    for (let after, more = true; more; ) {
      const { members } = await ask(
        gateway.base,
        `query Q($segment: MemberSegment, $filter: MembersFilterInput, $orderBy: UserVisitsOrderInput, $after: String) {
          members(segment: $segment, filter: $filter, orderBy: $orderBy, first: 50, after: $after, timeZone: "${ZONE}") {
            pageInfo { hasNextPage endCursor }
            nodes { userId segment visits tokensIssued joinedAt firstVisitAt lastVisitAt isActive user { firstName lastName } } } }`,
        { ...list, after },
      );
      nodes.push(...members.nodes);
      ({ hasNextPage: more, endCursor: after } = members.pageInfo);
    }
    assert.ok(list.filter?.userIds || nodes.length > 15, 'there is more than what the page shows');
    const [head, ...rows] = cells(await saved(page, 'Save “Members” as CSV'));
    if (!list.filter) assert.ok(nodes.some(({ isActive }) => !isActive), 'some memberships have ended');
    assert.deepEqual(head, ['Id', 'Name', 'Segment', 'Visits', 'Codes', 'Joined', 'First visit', 'Last visit', 'Membership']);
    assert.deepEqual(
      rows,
      nodes.map(({ userId, user, segment, visits, tokensIssued, joinedAt, firstVisitAt, lastVisitAt, isActive }) =>
        [userId, `${user.firstName} ${user.lastName}`, segment, visits, tokensIssued, day(joinedAt), day(firstVisitAt), day(lastVisitAt), isActive ? 'current' : 'ended'].map((value) => String(value ?? '')),
      ),
    );
    await close(page, 'dashboard-members-file');
  }
});

test('members are found by a part of their name, which no address has, and the file follows', LIMIT, async () => {
  const page = await open(browser(), gateway.base, '/?segment=ACTIVE', { acceptDownloads: true });
  const addresses = [];
  page.on('request', (request) => addresses.push(request.url()));
  const field = page.locator('#members').getByLabel('Name', { exact: true });
  const list = (name, more = '') =>
    ask(gateway.base, `query Q($name: String!) { members(segment: ACTIVE, first: 1000, filter: { isActive: true, nameContains: $name }, orderBy: { field: LAST_VISIT_AT, direction: DESC } ${more}) { totalCount nodes { userId } } }`, { name });
  const shows = (expected) => page.waitForFunction((expected) => [...document.querySelectorAll('#members tbody th')].map((cell) => Number(cell.textContent)).join() === expected, expected.slice(0, 15).join());
  const { members } = await list('LIND');
  const ids = members.nodes.map(({ userId }) => userId);
  assert.ok(ids.length > 0);
  // By keys alone, from the box beside it.
  await page.getByLabel('Ended memberships too').focus();
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.name), 'name');
  await page.keyboard.type(' lInD ');
  await shows(ids);
  assert.equal(await page.evaluate(() => document.activeElement.name), 'name');
  assert.match(await page.locator('#members [role=status].unseen').textContent(), new RegExp(`^${members.totalCount} member`));
  // The numbers on the segments are those of all names.
  assert.deepEqual(await texts(page, '#members .segments b'), []);
  const [, ...rows] = cells(await saved(page, 'Save “Members” as CSV'));
  assert.deepEqual(rows.map(([id]) => Number(id)), ids);
  assert.ok(!page.url().toLowerCase().includes('lind'));
  assert.ok(!(await page.locator('#query').getAttribute('href')).toLowerCase().includes('lind'));
  assert.deepEqual(addresses.filter((address) => /lind/i.test(address) && !address.includes('/api/reports/members?')), []);
  // Another view keeps it; nothing is found without a reason.
  await page.getByLabel('Ended memberships too').check();
  await page.waitForFunction(() => location.search.includes('ended=1') && !document.body.hasAttribute('aria-busy'));
  await page.goBack();
  await answered(page);
  await shows(ids);
  await field.fill('100%');
  await field.press('Enter');
  await page.getByText('No such members.').waitFor();
  await field.fill('');
  await page.locator('#members .segments b').first().waitFor();
  await close(page, 'dashboard-members-named');
});

test('a list that breaks off makes no file, and the page says so', LIMIT, async () => {
  let status = 200;
  const body = () => (status === 200 ? '{"user_id":1}\n' : '{"errors":[{"message":"Too many lists.","extensions":{"code":"LIMIT_EXCEEDED"}}]}');
  const prepare = (page) => page.route('**/api/reports/members?*', (route) => route.fulfill({ status, body: body() }));
  const page = await open(browser(), gateway.base, '/', { prepare });
  for (const problem of ['The list broke off.', 'This is more than the gateway answers at once']) {
    await page.getByRole('button', { name: 'Save “Members” as CSV' }).click();
    await page.locator('#members .notice', { hasText: problem }).waitFor();
    assert.ok(await page.locator('#members tbody').isVisible());
    status = 503;
  }
  await close(page, 'dashboard-broken-file', [/Failed to load resource.*503/]);
});

test('the days of files are local ones, and hours say how far they are from UTC', LIMIT, async () => {
  const page = await open(browser(), gateway.base, `/?from=2026-10-24&to=2026-10-26&by=DAY`, { acceptDownloads: true });
  const first = (csv) => cells(csv).slice(1).map(([day]) => day);
  const days = ['2026-10-24', '2026-10-25', '2026-10-26'];
  const csv = cells(await saved(page, 'Save “Visits over time” as CSV')).slice(1);
  assert.deepEqual(csv.map(([day, , , , before]) => [day, before]), days.map((day, index) => [day, `2026-10-1${index + 7}`]));
  assert.deepEqual(first(await saved(page, 'Save “Active members” as CSV')), days);
  await close(page, 'dashboard-days-file');
  const clocks = await open(browser(), gateway.base, '/?from=2025-10-26&to=2025-10-26', { acceptDownloads: true, locale: 'ar-EG' });
  const hours = first(await saved(clocks, 'Save “Visits over time” as CSV'));
  assert.equal(hours.length, 25);
  assert.deepEqual(hours.slice(1, 5), ['2025-10-26T01:00+02:00', '2025-10-26T02:00+02:00', '2025-10-26T02:00+01:00', '2025-10-26T03:00+01:00']);
  await close(clocks, 'dashboard-hours-file');
});

// A picture of a fourth of the width: letters may be drawn with other edges.
function small({ data, width, height }) {
  const less = new PNG({ width: Math.floor(width / 4), height: Math.floor(height / 4) });
  for (let at = 0; at < less.data.length; at++) {
    const [x, y] = [(at >> 2) % less.width, Math.floor((at >> 2) / less.width)];
    let sum = 0;
    for (let place = 0; place < 16; place++) sum += data[4 * ((4 * y + (place >> 2)) * width + 4 * x + (place & 3)) + (at & 3)];
    less.data[at] = sum / 16;
  }
  return less;
}

// How many of a thousand pixels differ.
function difference(one, other) {
  const [a, b] = [small(one), small(other)];
  assert.deepEqual([a.width, a.height], [b.width, b.height]);
  return (1_000 * pixelmatch(a.data, b.data, null, a.width, a.height, { threshold: 0.3 })) / (a.width * a.height);
}

for (const [width, colorScheme] of [[390, 'light'], [1280, 'dark'], [2560, 'light']]) {
  test(`${width} pixels: a picture shows what the page shows`, LIMIT, async () => {
    const page = await open(browser(), gateway.base, '/', { acceptDownloads: true, colorScheme, deviceScaleFactor: 2, viewport: { width, height: 900 } });
    // Buttons that save are in no picture.
    await page.evaluate(() => document.querySelectorAll('header nav, .tools').forEach((element) => (element.style.opacity = 0)));
    for (const [button, selector] of [['Picture', 'body'], ['Save “Members” as PNG', '#members'], ['Save “When the space is busy” as PNG', '#heatmap'], ['Save “Active members” as PNG', '#active']]) {
      const taken = PNG.sync.read(await saved(page, button));
      const differs = difference(taken, PNG.sync.read(await page.locator(selector).screenshot()));
      assert.ok(differs < 10, `${selector}: ${differs} of 1000 pixels differ`);
      if (selector !== '#members') continue;
      // Headings are buttons, and there nevertheless.
      const headings = await page.locator('#members thead th').evaluateAll((cells) => {
        const { left, top, width, height } = document.querySelector('#members').getBoundingClientRect();
        const boxes = cells.map((cell) => cell.getBoundingClientRect());
        return boxes.map((box) => [(box.left - left) / width, (box.top - top) / height, (box.right - left) / width, (box.bottom - top) / height]).filter(([, , right]) => right < 1);
      });
      assert.ok(headings.length > 3);
      for (const box of headings) {
        const colors = new Set();
        part(taken, box, (...rgb) => colors.add(rgb.join()));
        assert.ok(colors.size > 10, `a heading is missing at ${box}`);
      }
    }
    await close(page, `dashboard-pictured-${width}`);
  });
}

// The pages of a PDF as pictures, 60 pixels an inch.
async function pages(pdf) {
  const folder = await mkdtemp(join(tmpdir(), 'printed-'));
  try {
    execFileSync('pdftoppm', ['-r', '60', '-png', '-', join(folder, 'page')], { input: pdf });
    const names = (await readdir(folder)).sort();
    return await Promise.all(names.map(async (name) => PNG.sync.read(await readFile(join(folder, name)))));
  } finally {
    await rm(folder, { recursive: true });
  }
}

// The part of the pixels between these places, each from 0 to 1, of which `is` is true.
function part({ data, width, height }, [left, top, right, bottom], is) {
  let [all, found] = [0, 0];
  for (let y = Math.floor(top * height); y < bottom * height; y++) {
    for (let x = Math.floor(left * width); x < right * width; x++, all++) {
      const at = 4 * (y * width + x);
      if (is(data[at], data[at + 1], data[at + 2])) found++;
    }
  }
  return found / all;
}
const isWhite = (...rgb) => rgb.every((value) => value > 250);
const isBlue = (red, _, blue) => blue > red + 40;
const EVERYWHERE = [0, 0, 1, 1];

test('the page of a month is printed on two pages at most, with all of its parts', LIMIT, async () => {
  for (const [width, format] of [[1280, 'A4'], [390, 'Letter']]) {
    const page = await open(browser(), gateway.base, '/?view=month', { viewport: { width, height: 900 } });
    await page.emulateMedia({ media: 'print' });
    for (const id of ['verdict', 'totals', 'usage', 'days', 'heatmap', 'top']) assert.ok(await page.locator(`#${id}`).isVisible(), id);
    for (const id of ['months', 'controls', 'growth']) assert.ok(await page.locator(`#${id}`).isHidden(), id);
    await page.emulateMedia({ media: null });
    const printed = await pages(await page.pdf({ format }));
    assert.ok(printed.length <= 2, `${printed.length} pages`);
    assert.ok(part(printed[0], EVERYWHERE, isBlue) > 0.02, 'charts and tables have their colours');
    await close(page, `dashboard-month-printed-${width}`);
  }
});

test('a month is printed on two pages: light, nothing cut, in colours', LIMIT, async () => {
  for (const [colorScheme, width, format] of [['dark', 2560, 'A4'], ['light', 390, 'A4'], ['light', 1280, 'Letter']]) {
    const page = await open(browser(), gateway.base, '/?range=LAST_MONTH', { colorScheme, viewport: { width, height: 900 } });
    const before = await page.locator('#usage canvas').evaluate((canvas) => canvas.width);
    const printed = await pages(await page.pdf({ format }));
    const about = `${colorScheme}, ${width}, ${format}`;
    assert.equal(printed.length, 2, about);
    for (const sheet of printed) {
      assert.ok(part(sheet, EVERYWHERE, isWhite) > 0.6, `${about}: paper is white`);
      for (const edge of [[0, 0, 1, 0.03], [0, 0.97, 1, 1], [0, 0, 0.04, 1], [0.96, 0, 1, 1]]) assert.equal(part(sheet, edge, isWhite), 1, `${about}: ${edge} is empty`);
      assert.ok(part(sheet, EVERYWHERE, isBlue) > 0.02, `${about}: charts and tables have their colours`);
    }
    // The chart goes to both ends of its panel, and the screen is as it was.
    assert.ok(part(printed[0], [0.05, 0.3, 0.3, 0.5], isBlue) > 0.02 && part(printed[0], [0.7, 0.3, 0.95, 0.5], isBlue) > 0.02, about);
    assert.equal(await page.locator('#usage canvas').evaluate((canvas) => canvas.width), before);
    await close(page, `dashboard-printed-${width}`);
  }
});
