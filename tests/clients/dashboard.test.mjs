// What people see at /: the API's own numbers, in a real browser.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { after, before, test } from 'node:test';
import { join, resolve } from 'node:path';
import axe from 'axe-core';
import pixelmatch from 'pixelmatch';
import { PNG } from 'pngjs';
import { ZONE, answered, ask, browse, close, launch, open, rows, texts } from './browser.mjs';
import { Gateway, PATIENCE } from './gateway.mjs';
import { PICTURES, picture, take } from './pictures.mjs';
import { fromHere } from './tools.mjs';

const LIMIT = { timeout: 6 * PATIENCE };
const RANGE = { timeZone: ZONE, basis: 'USED_AT' };
const browser = browse();

let gateway;
before(async () => (gateway = await Gateway.start()), { timeout: 3 * PATIENCE });
after(() => gateway?.stop(), { timeout: 2 * PATIENCE });

const whole = (value) => new Intl.NumberFormat('en-GB').format(value);
const one = (value) => new Intl.NumberFormat('en-GB', { maximumFractionDigits: 1 }).format(value);
const tenth = (value) => new Intl.NumberFormat('en-GB', { maximumSignificantDigits: 1 }).format(value);
const percent = (value, digits = 1) => new Intl.NumberFormat('en-GB', { style: 'percent', maximumFractionDigits: digits }).format(value);
const signed = (value) => new Intl.NumberFormat('en-GB', { style: 'percent', maximumFractionDigits: 1, signDisplay: 'exceptZero' }).format(value);

const query = (text, variables = RANGE) => ask(gateway.base, `query Q($timeZone: TimeZone!, $basis: TimeBasis!) { ${text} }`, variables);
const tile = (page, name) => page.locator('.tile', { has: page.getByRole('heading', { name, exact: true }) });
const number = async (page, name) => Number((await tile(page, name).locator('.number').textContent()).replaceAll(',', ''));
const select = (page, name) => page.getByRole('combobox', { name, exact: true });
const choose = async (page, label, value) => {
  const asked = page.waitForResponse((response) => response.url().includes('/graphql?documentId='));
  await select(page, label).selectOption(value);
  await asked;
  await answered(page);
};
// Those of the colours that are on a chart.
const drawn = (page, id, names) =>
  page.locator(`#${id} canvas`).evaluate((canvas, names) => {
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    const found = new Set();
    for (let at = 0; at < data.length; at += 4) if (data[at + 3] === 255) found.add(`#${[0, 1, 2].map((part) => data[at + part].toString(16).padStart(2, '0')).join('')}`);
    return names.filter((name) => found.has(getComputedStyle(document.documentElement).getPropertyValue(`--${name}`)));
  }, names);
const table = async (page, id) => {
  await page.locator(`#${id} summary`).click();
  return rows(page, `#${id} details table`);
};

test('totals and the chart show what the API answers, beside the period before', LIMIT, async () => {
  const page = await open(browser(), gateway.base);
  const { usage } = await query(`usage(filter: { range: LAST_30_DAYS }, timeZone: $timeZone, basis: $basis, gaps: ZERO) {
    totals { visits uniqueVisitors tokensIssued conversionRate }
    buckets { label visits tokensIssued rollingAverage(buckets: 7) isPartial }
    previous(compareTo: PREVIOUS_WEEKS) { totals { visits } buckets { visits label } changeRatio { visits uniqueVisitors tokensIssued } } }`);
  const { totals, previous, buckets } = usage;
  assert.ok(totals.visits > 0 && previous.totals.visits > 0);
  assert.deepEqual(await texts(page, '.tile .number'), [whole(totals.visits), whole(totals.uniqueVisitors), whole(totals.tokensIssued), percent(totals.conversionRate)]);
  const changes = await texts(page, '.tile .change');
  for (const [index, ratio] of [previous.changeRatio.visits, previous.changeRatio.uniqueVisitors, previous.changeRatio.tokensIssued].entries()) {
    assert.ok(changes[index].startsWith(signed(ratio)), `${changes[index]} is not ${ratio}`);
  }
  assert.ok(changes[0].endsWith(`from ${whole(previous.totals.visits)}`), changes[0]);
  const [, ...shown] = await table(page, 'usage');
  assert.deepEqual(
    shown.map(([, visits, issued, average, , before, partial]) => [visits, issued, average, before, partial]),
    buckets.map((bucket, index) => [whole(bucket.visits), whole(bucket.tokensIssued), one(bucket.rollingAverage), whole(previous.buckets[index].visits), bucket.isPartial ? 'yes' : 'no']),
  );
  // The canvas has something on it: the colours of all that the legend names.
  const names = ['accent', 'before', 'average'];
  assert.deepEqual(await drawn(page, 'usage', names), names);
  await close(page, 'dashboard-light');
});

test('the verdict compares what has elapsed with the same weekdays, as the tiles do', LIMIT, async () => {
  const page = await open(browser(), gateway.base);
  const fields = '{ to previous(compareTo: PREVIOUS_WEEKS) { current { totals { visits } } totals { visits } } }';
  const { month, week } = await query(`month: usage(filter: { range: THIS_MONTH }, timeZone: $timeZone, basis: $basis) ${fields}
    week: usage(filter: { range: THIS_WEEK }, timeZone: $timeZone, basis: $basis) ${fields}`);
  const isMonth = Number(month.to.slice(8)) > 7;
  const { current, totals } = (isMonth ? month : week).previous;
  const [now, then] = [current.totals.visits, totals.visits];
  const [headline, sentence] = await Promise.all(['#verdict h2', '#verdict p'].map((each) => page.locator(each).textContent()));
  assert.ok(sentence.startsWith(`${whole(now)} visits so far `) && sentence.includes(`, ${whole(then)} on the same weekdays`), sentence);
  if (now >= 20 && then >= 20 && Math.abs(now / then - 1) >= 0.005) {
    assert.ok(headline.endsWith(`is ${percent(Math.abs(now / then - 1))} ${now > then ? 'busier' : 'quieter'}`), headline);
  }
  await choose(page, 'Range', isMonth ? 'THIS_MONTH' : 'THIS_WEEK');
  await choose(page, 'Show per', 'DAY');
  assert.match((await texts(page, '.tile .change'))[0], new RegExp(`from ${whole(then)}$`));
  // The chart names the day that each is compared with.
  const said = await page.locator('#usage [role=slider]').getAttribute('aria-valuetext');
  const { usage } = await query(`usage(filter: { range: ${isMonth ? 'THIS_MONTH' : 'THIS_WEEK'} }, timeZone: $timeZone, basis: $basis, gaps: ZERO) { buckets { label } previous(compareTo: PREVIOUS_WEEKS) { buckets { label } } }`);
  const compared = usage.previous.buckets.at(-1).label;
  const name = new Intl.DateTimeFormat('en-GB', { weekday: 'short', day: 'numeric', month: 'short', year: 'numeric', timeZone: 'UTC' }).format(Date.parse(compared));
  assert.ok(said.includes(name), `${said} does not name ${name}`);
  await close(page, 'dashboard-verdict');
});

// Hours of the day with their visits, and the visits of a day until an hour.
const until = (buckets, hour) => buckets.filter(({ label }) => Number(label.slice(11, 13)) < hour).reduce((sum, { visits }) => sum + visits, 0);
const facts = (page) => page.locator('#today dl div').evaluateAll((all) => Object.fromEntries(all.map((each) => [...each.children].map(({ textContent }) => textContent))));

test('today stands beside the same weekday of eight weeks, up to the same hour', LIMIT, async () => {
  const hourIn = () => Number(new Intl.DateTimeFormat('en-GB', { timeZone: ZONE, hour: 'numeric', hourCycle: 'h23' }).format());
  for (let hour; hour !== hourIn(); ) {
    hour = hourIn();
    const page = await open(browser(), gateway.base);
    const { usage: today } = await query('usage(granularity: HOUR, filter: { range: TODAY }, timeZone: $timeZone, basis: $basis) { to totals { visits } buckets { label visits } }');
    const back = (weeks) => new Date(Date.parse(today.to) - weeks * 7 * 86_400_000).toISOString().slice(0, 10);
    const days = [];
    for (let week = 1; week <= 8; week++) {
      days.push((await query(`usage(granularity: HOUR, filter: { from: "${back(week)}", to: "${back(week)}" }, timeZone: $timeZone, basis: $basis) { buckets { label visits } }`)).usage.buckets);
    }
    const mean = (until_) => days.reduce((sum, buckets) => sum + until(buckets, until_), 0) / 8;
    const [byNow, usual] = [until(today.buckets, hour), mean(hour)];
    const expected = usual >= 20 ? (byNow * mean(24)) / usual : byNow + mean(24) - usual;
    const weekday = new Intl.DateTimeFormat('en-GB', { timeZone: 'UTC', weekday: 'long' }).format(Date.parse(today.to));
    const clock = (at) => `${at % 24}:00`;
    const shown = await facts(page);
    const said = await page.locator('#today').textContent();
    await close(page, 'dashboard-today');
    if (hour !== hourIn()) continue;
    assert.ok(said.includes(`${whole(today.totals.visits)} visit`) && said.includes(`the mean of the last 8 ${weekday}s`), said);
    assert.equal(shown[`Usual on ${weekday}s by ${clock(hour)}`], `${one(usual)}, today ${whole(byNow)}`);
    assert.equal(shown['Expected today'], whole(Math.max(Math.round(expected), today.totals.visits)));
    assert.equal(shown[`Since ${clock(hour)}`], whole(today.totals.visits - byNow));
    if (hour) assert.equal(shown[`From ${clock(hour - 1)} to ${clock(hour)}`], whole(byNow - until(today.buckets, hour - 1)));
  }
});

test('a day is expected from its beginning, by proportion only where much is usual', LIMIT, async () => {
  const other = await Gateway.start();
  try {
    // Where it is neither early nor late.
    const hour = new Date().getUTCHours();
    const [zone, offset] = hour > 2 && hour < 21 ? ['UTC', 0] : ['Asia/Tokyo', 9];
    const midnight = Math.floor((Date.now() + offset * 3_600_000) / 86_400_000) * 86_400_000 - offset * 3_600_000;
    const used = (days, minutes, visits) => {
      const at = new Date(midnight - days * 86_400_000 + minutes * 60_000).toISOString().replace('T', ' ').replace('Z', '');
      other.write("INSERT INTO tokens (user_id, token, created_at, used_at) VALUES (1, '------', ?1, ?1)", at, visits);
    };
    const page = await open(browser(), other.base, `/?zone=${zone}`);
    const shows = async (expected, note) => {
      await page.reload();
      await answered(page);
      assert.equal((await facts(page))['Expected today'], expected);
      assert.match(await page.locator('#today .note').textContent(), note);
    };
    other.write('DELETE FROM tokens WHERE id > ?', 0, 1);
    await page.reload();
    await answered(page);
    assert.ok(await page.locator('#today').isHidden(), 'nothing was recorded');
    used(0, 30, 3);
    await shows(undefined, /^There is no usual \w+day yet/);
    for (const day of [7, 14]) [used(day, 30, 4), used(day, 23 * 60, 2)];
    await shows('5', /the mean of the last 2 \w+days/);
    for (const day of [7, 14]) [used(day, 30, 20), used(day, 23 * 60, 10)];
    used(0, 30, 27);
    // 30 so far, 24 of 36 usual.
    await shows('45', /the mean of the last 2 \w+days/);
    await page.locator('#live[data-state=live]').waitFor();
    used(0, 60, 1);
    await page.waitForFunction(() => document.querySelector('#today .number').textContent === '31 visits so far');
    await close(page, 'dashboard-expected');
  } finally {
    await other.stop();
  }
});

test('small numbers are not percentages, and what was not recorded is not compared', LIMIT, async () => {
  const other = await Gateway.start();
  try {
    const day = (back) => new Date(Date.now() - back * 86_400_000).toISOString().slice(0, 10);
    other.write('DELETE FROM tokens WHERE id > ?', 0, 1);
    for (const back of [2, 9, 9]) other.issue(`${day(back)} 10:00:00`);
    const page = await open(browser(), other.base, '?range=LAST_7_DAYS&basis=ISSUED_AT&zone=UTC');
    assert.deepEqual(await texts(page, '.tile .change'), []);
    assert.match(await page.locator('#totals .note').textContent(), /^Recorded since .*, so not the whole of .*: nothing is compared\./);
    assert.match(await page.locator('#verdict p').textContent(), /Recorded since .*: there is nothing before to compare with\./);
    other.issue(`${day(70)} 10:00:00`);
    await page.reload();
    await answered(page);
    assert.equal((await texts(page, '.tile .change'))[2], '-1 from 2');
    await close(page, 'dashboard-few');
  } finally {
    await other.stop();
  }
});

test('busy hours, active members, cohorts, codes and members are those of the API', LIMIT, async () => {
  const page = await open(browser(), gateway.base);
  const answer = await query(`heatmap(filter: { range: LAST_30_DAYS }, timeZone: $timeZone, basis: $basis) { cells { visits average } }
    activeUsers(filter: { range: LAST_30_DAYS }, timeZone: $timeZone, basis: $basis) { daily weekly monthly isPartial }
    retention(periods: 11, timeZone: $timeZone, basis: $basis) { members periods { active rate } }
    tokenFunnel(filter: { range: LAST_30_DAYS }, timeZone: $timeZone) { issued used unused }
    members(first: 15, filter: { isActive: true }, orderBy: { field: LAST_VISIT_AT, direction: DESC }) { totalCount nodes { userId visits tokensIssued user { firstName lastName } } }`);
  const [, ...week] = await rows(page, '#heatmap table');
  const cells = answer.heatmap.cells.map(({ average }) => (!average ? '0' : average < 0.95 ? tenth(average) : average < 9.95 ? one(average) : whole(Math.round(average))));
  assert.deepEqual(week.flatMap(([, ...hours]) => hours), cells);
  const [, ...days] = await table(page, 'active');
  assert.deepEqual(days.map(([, ...numbers]) => numbers), answer.activeUsers.map(({ daily, weekly, monthly, isPartial }) => [whole(daily), whole(weekly), whole(monthly), isPartial ? 'yes' : 'no']));
  const [, ...cohorts] = await rows(page, '#retention table');
  const expected = answer.retention.slice(-12).map(({ members, periods }) => [whole(members), ...periods.map(({ active, rate }) => (active === null ? '' : percent(rate, 0)))]);
  assert.deepEqual(cohorts.map(([, ...numbers]) => numbers), expected);
  const [, ...codes] = await rows(page, '#funnel table');
  const { issued, used, unused } = answer.tokenFunnel;
  assert.deepEqual(codes.map(([, count]) => count), [issued, used, unused].map(whole));
  const [, ...members] = await rows(page, '#members table');
  assert.deepEqual(
    members.map(([id, name, , visits, codes]) => [id, name, visits, codes]),
    answer.members.nodes.map(({ userId, visits, tokensIssued, user }) => [String(userId), `${user.firstName} ${user.lastName}`, whole(visits), whole(tokensIssued)]),
  );
  assert.match(await page.locator('.pager').textContent(), new RegExp(`^${whole(answer.members.totalCount)} members`));
  await close(page, 'dashboard-panels');
});

test('a cut week or month is drawn as cut, and says how many of its days there are', LIMIT, async () => {
  const iso = (millis) => new Date(millis).toISOString().slice(0, 10);
  const said = async (page, key) => {
    await page.getByRole('slider', { name: /^Visits over time/ }).focus();
    await page.keyboard.press(key);
    return page.locator('#usage .readout').textContent();
  };
  // From a Thursday to a Tuesday.
  const today = Math.floor(Date.now() / 86_400_000) * 86_400_000;
  const thursday = today - (((new Date(today).getUTCDay() + 3) % 7) + 28) * 86_400_000;
  const page = await open(browser(), gateway.base, `/?from=${iso(thursday)}&to=${iso(thursday + 19 * 86_400_000)}&by=WEEK`);
  assert.match(await said(page, 'Home'), /^Week of [^(]+ \(4 of 7 days\): /);
  assert.match(await said(page, 'ArrowRight'), /^Week of [^(]+: /);
  assert.match(await said(page, 'End'), /^Week of [^(]+ \(2 of 7 days\): /);
  assert.match(await page.locator('#totals .note').textContent(), /Today not included\.$/);
  await close(page, 'dashboard-cut');
  const [year, month] = [new Date().getUTCFullYear(), new Date().getUTCMonth()];
  const [from, end, to] = [Date.UTC(year, month - 1, -9), Date.UTC(year, month - 1, 0), Date.UTC(year, month, 0)].map(iso);
  const months = await open(browser(), gateway.base, `/?from=${from}&to=${to}&by=MONTH`);
  assert.ok((await said(months, 'Home')).includes(` (10 of ${Number(end.slice(8))} days): `));
  assert.deepEqual(await drawn(months, 'usage', ['accent']), ['accent']);
  await close(months, 'dashboard-cut-months');
});

test('a range that reaches into the future says how much is still to come', LIMIT, async () => {
  const day = (ahead) => new Intl.DateTimeFormat('sv-SE', { timeZone: ZONE }).format(Date.now() + ahead * 86_400_000);
  for (const [from, to, sentence] of [[-2, 7, /7 of these 10 days are still to come\.$/], [-2, 1, /1 of these 4 days is still to come\.$/], [2, 4, /3 of these 3 days are still to come\.$/], [-6, 0, /its last hours are still to come\.$/]]) {
    const page = await open(browser(), gateway.base, `/?from=${day(from)}&to=${day(to)}&zone=${ZONE}`);
    assert.match(await page.locator('#totals .note').textContent(), sentence);
    await close(page, 'dashboard-to-come');
  }
});

test('years before the first door code are not zeros', LIMIT, async () => {
  const page = await open(browser(), gateway.base, '/?from=1996-01-01&to=2025-12-31&by=YEAR');
  const slider = page.getByRole('slider', { name: /^Visits over time/ });
  await slider.focus();
  await page.keyboard.press('Home');
  assert.match(await slider.getAttribute('aria-valuetext'), /^1996: Visits – · Average of 3 years – /);
  await page.keyboard.press('End');
  assert.match(await slider.getAttribute('aria-valuetext'), /^2025[^:]*: Visits [\d,]+ · Average of 3 years [\d,.]+ /);
  await close(page, 'dashboard-decades');
});

test('last year can stand beside this one', LIMIT, async () => {
  const page = await open(browser(), gateway.base, '/?range=LAST_30_DAYS');
  const before = await page.locator('.totals .note').textContent();
  await choose(page, 'Compared with', 'YEAR');
  assert.equal(new URL(page.url()).searchParams.get('compare'), 'YEAR');
  const { usage } = await query(`usage(filter: { range: LAST_30_DAYS }, timeZone: $timeZone, basis: $basis, gaps: ZERO) {
    previous(compareTo: PREVIOUS_YEAR) { from to buckets { visits } totals { visits } } }`);
  const [head, ...shown] = await table(page, 'usage');
  assert.equal(head[4], 'Last year');
  assert.deepEqual(shown.map((row) => row[5]), usage.previous.buckets.map(({ visits }) => (visits === null ? '–' : whole(visits))));
  const note = await page.locator('.totals .note').textContent();
  assert.notEqual(note, before);
  assert.ok(note.includes(usage.previous.from.slice(0, 4)), note);
  await close(page, 'dashboard-last-year');
});

test('the space has its name in the title, and its desks beside the busiest hour', LIMIT, async () => {
  const other = await Gateway.start({ SPACE_NAME: 'Haus <Süd> & Co', CAPACITY: '40' });
  try {
    const page = await open(browser(), other.base);
    assert.equal(await page.title(), 'Haus <Süd> & Co');
    assert.equal(await page.getByRole('heading', { level: 1 }).textContent(), 'Haus <Süd> & Co');
    const peak = Math.max(...(await ask(other.base, 'query Q($timeZone: TimeZone!) { heatmap(filter: { range: LAST_30_DAYS }, timeZone: $timeZone, basis: USED_AT) { cells { average } } }', { timeZone: ZONE })).heatmap.cells.map(({ average }) => average));
    const note = await page.locator('#heatmap .note').textContent();
    assert.ok(note.includes(`Busiest hour on average: ${peak < 9.95 ? one(peak) : whole(Math.round(peak))} arrivals, ${percent(peak / 40)} of 40 desks`), note);
    const { usage } = await ask(other.base, 'query Q($timeZone: TimeZone!) { usage(granularity: HOUR, filter: { range: LAST_30_DAYS }, timeZone: $timeZone, basis: USED_AT) { buckets { label visits } } }', { timeZone: ZONE });
    const most = usage.buckets.reduce((best, each) => (each.visits > best.visits ? each : best));
    assert.ok(note.includes(`Busiest hour: ${most.visits} arrivals, ${percent(most.visits / 40)} of 40 desks (`) && note.includes(` ${most.label.slice(11, 16)} `), `${note} ${most.label}`);
    await page.emulateMedia({ media: 'print' });
    assert.ok(await page.getByRole('heading', { level: 1 }).isVisible());
    await close(page, 'dashboard-named');
  } finally {
    await other.stop();
  }
});

test('notes on dates are marked on the charts, read out, listed, printed and saved', LIMIT, async (test) => {
  const day = (back) => new Intl.DateTimeFormat('sv-SE', { timeZone: ZONE }).format(Date.now() - back * 86_400_000);
  const name = (date) => new Intl.DateTimeFormat('en-GB', { timeZone: 'UTC', day: 'numeric', month: 'short', year: 'numeric' }).format(Date.parse(date));
  const folder = await mkdtemp(join(tmpdir(), 'notes-'));
  test.after(() => rm(folder, { recursive: true }));
  const file = join(folder, 'notes.txt');
  await writeFile(file, `${day(3)}..${day(2)} <b>party</b> & co\n${day(8)} closed\n${day(40)} long ago\n`);
  const other = await Gateway.start({ NOTES_FILE: file });
  test.after(() => other.stop());
  const page = await open(browser(), other.base, '/?range=LAST_30_DAYS');
  const listed = await texts(page, '#usage .notes li');
  assert.equal(listed.length, 2);
  assert.equal(listed[0], `${name(day(8))}: closed`);
  assert.ok(listed[1].endsWith(': <b>party</b> & co'), listed[1]);
  assert.deepEqual(await texts(page, '#active .notes li'), listed);
  assert.equal((await texts(page, '#growth .notes li')).length, 3);
  assert.deepEqual(await texts(page, '#usage .legend .noted'), ['Note']);
  const slider = page.getByRole('slider', { name: /^Visits over time/ });
  await slider.focus();
  await page.keyboard.press('End');
  for (const expected of [undefined, undefined, '<b>party</b> & co', '<b>party</b> & co', undefined]) {
    const said = await slider.getAttribute('aria-valuetext');
    if (expected) assert.ok(said.endsWith(` · Note ${expected}`), said);
    else assert.ok(!said.includes('Note'), said);
    await page.keyboard.press('ArrowLeft');
  }
  // A bar at the top over two days together, and one over a day alone.
  await page.mouse.move(0, 0);
  const bars = await page.locator('#usage canvas').evaluate((canvas) => {
    const context = canvas.getContext('2d');
    const ink = getComputedStyle(document.documentElement).getPropertyValue('--ink').trim();
    const { data, width } = context.getImageData(0, 0, canvas.width, Math.round(canvas.height / 4));
    const rows = Array.from({ length: data.length / 4 / width }, (_, row) => {
      const isInk = (x) => `#${[0, 1, 2].map((part) => data[4 * (row * width + x) + part].toString(16).padStart(2, '0')).join('')}` === ink;
      const runs = [];
      for (let x = 0; x < width; x++) if (isInk(x)) for (const start = x; ; x++) if (!isInk(x)) { runs.push(x - start); break; }
      return runs;
    });
    return rows.find((runs) => runs.length);
  });
  assert.equal(bars?.length, 2, JSON.stringify(bars));
  assert.ok(bars[1] > 1.7 * bars[0], JSON.stringify(bars));
  const [head, ...shown] = await table(page, 'usage');
  assert.equal(head.at(-1), 'Note');
  assert.deepEqual(shown.slice(-4).map((row) => row.at(-1)), ['<b>party</b> & co', '<b>party</b> & co', '', '']);
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Save “Visits over time” as CSV' }).click()]);
  const lines = (await readFile(await download.path(), 'utf8')).trimEnd().split('\r\n');
  assert.ok(lines[0].endsWith(',Note') && lines.at(-3).endsWith(',<b>party</b> & co'), lines.at(-3));
  await page.emulateMedia({ media: 'print' });
  assert.ok(await page.locator('#usage .notes').isVisible());
  await page.emulateMedia({ media: 'screen' });
  await page.evaluate(axe.source);
  assert.deepEqual(await page.evaluate(async () => (await window.axe.run()).violations.map(({ id }) => id)), []);
  await close(page, 'dashboard-notes');
  const month = await open(browser(), other.base, `/?view=month&month=${day(8).slice(0, 7)}`);
  assert.ok((await texts(month, '#days td span')).includes('closed'));
  await close(month, 'dashboard-notes-month');
});

test('a month has a page of its own, with a link that stays', LIMIT, async () => {
  const [year, month] = [new Date().getUTCFullYear(), new Date().getUTCMonth()];
  const iso = (back, day) => new Date(Date.UTC(year, month - back + (day ? 0 : 1), day)).toISOString().slice(0, 10);
  const [from, to] = [iso(1, 1), iso(1, 0)];
  const link = `/?view=month&month=${from.slice(0, 7)}&basis=USED_AT&zone=${encodeURIComponent(ZONE)}`;
  const page = await open(browser(), gateway.base, link);
  const name = (day) => new Intl.DateTimeFormat('en-GB', { timeZone: 'UTC', month: 'long', year: 'numeric' }).format(Date.parse(day));
  const { usage, heatmap, membership } = await query(`usage(filter: { from: "${from}", to: "${to}" }, timeZone: $timeZone, basis: $basis, gaps: ZERO) {
    totals { visits newVisitors returningVisitors } buckets { label visits } previous(compareTo: PREVIOUS_WEEKS) { from current { totals { visits } } totals { visits } } }
    heatmap { recordedFrom }
    membership(filter: { from: "${from}", to: "${to}" }, timeZone: $timeZone, basis: $basis) { joined stopped }`);
  const headline = (start, visits, { from, current, totals }) => {
    const [now, then] = [current.totals.visits, totals.visits];
    const isCompared = heatmap.recordedFrom <= from && Math.min(now, then) >= 20 && now !== then;
    return `${name(start)}: ${isCompared ? `${percent(Math.abs(now / then - 1))} ${now > then ? 'more' : 'fewer'} visits than before` : `${whole(visits)} visits`}`;
  };
  assert.equal(await page.locator('#verdict h2').textContent(), headline(from, usage.totals.visits, usage.previous));
  assert.ok((await page.title()).startsWith(name(from)));
  assert.equal(await number(page, 'Visits'), usage.totals.visits);
  assert.deepEqual((await texts(page, '#days td b')), usage.buckets.map(({ visits }) => whole(visits)));
  const most = Math.max(...usage.buckets.map(({ visits }) => visits));
  const figures = Object.fromEntries(await page.locator('#top dl div').evaluateAll((all) => all.map((each) => [...each.children].map(({ textContent }) => textContent))));
  assert.ok(figures['Busiest day'].endsWith(`: ${whole(most)} visits`), figures['Busiest day']);
  assert.deepEqual(
    ['First time', 'Returning', 'Joined', 'Stopped coming'].map((each) => figures[each]),
    [usage.totals.newVisitors, usage.totals.returningVisitors, membership[0].joined, membership[0].stopped].map(whole),
  );
  for (const id of ['usage', 'heatmap']) assert.ok(await page.locator(`#${id}`).isVisible());
  for (const id of ['controls', 'members', 'funnel', 'today']) assert.ok(await page.locator(`#${id}`).isHidden(), id);
  await page.evaluate(axe.source);
  assert.deepEqual(await page.evaluate(async () => (await window.axe.run()).violations.map(({ id }) => id)), []);
  // This month, as far as it is over, and without one after it.
  const present = await open(browser(), gateway.base, `/?view=month&basis=USED_AT&zone=${encodeURIComponent(ZONE)}`);
  const { usage: soFar } = await query('usage(filter: { range: THIS_MONTH }, timeZone: $timeZone, basis: $basis) { from totals { visits } previous(compareTo: PREVIOUS_WEEKS) { from current { totals { visits } } totals { visits } } }');
  assert.equal(await present.locator('#verdict h2').textContent(), headline(soFar.from, soFar.totals.visits, soFar.previous));
  assert.equal(await present.locator('#months a').count(), 2);
  await close(present, 'dashboard-this-month');
  await page.getByRole('link', { name: name(iso(2, 1)) }).click();
  await answered(page);
  assert.equal(new URL(page.url()).searchParams.get('month'), iso(2, 1).slice(0, 7));
  await page.getByRole('link', { name: 'This month on the dashboard' }).click();
  await page.locator('#members').waitFor();
  assert.equal(new URL(page.url()).searchParams.get('from'), iso(2, 1));
  await page.getByRole('link', { name: 'Month as a page' }).click();
  await page.locator('#days td b').first().waitFor();
  await close(page, 'dashboard-month');
});

test('growth: who joined, came first, came again and stopped, by month', LIMIT, async (test) => {
  const other = await Gateway.start();
  test.after(() => other.stop());
  // The sample of the last three months, and a hundred members who came half a year ago.
  other.write("DELETE FROM tokens WHERE created_at < datetime('now', '-90 days') AND id > ?", 0, 1);
  const then = new Date(Date.now() - 190 * 86_400_000).toISOString().replace('T', ' ').replace('Z', '');
  other.write("INSERT INTO tokens (user_id, token, created_at, used_at) SELECT id, '------', ?1, ?1 FROM users WHERE id <= 100", then, 1);
  const page = await open(browser(), other.base);
  const [, ...shown] = await table(page, 'growth');
  const { membership, heatmap } = await ask(
    other.base,
    'query Q($timeZone: TimeZone!, $basis: TimeBasis!) { membership(filter: { range: LAST_365_DAYS }, timeZone: $timeZone, basis: $basis) { end joined firstVisits returning stopped isPartial } heatmap { recordedFrom } }',
    RANGE,
  );
  // Nobody came before the first door code, nor stopped in the 90 days after it: nothing is known of that.
  const since = (end, days) => Date.parse(end) > Date.parse(heatmap.recordedFrom) + days * 86_400_000;
  const expected = membership
    .slice(-12)
    .map(({ end, joined, firstVisits, returning, stopped, isPartial }) => [
      whole(joined),
      ...[firstVisits, returning].map((value) => (since(end, 0) ? whole(value) : '–')),
      since(end, 91) ? whole(stopped) : '–',
      isPartial ? 'yes' : 'no',
    ]);
  assert.ok(expected.some((row) => row.includes('–')));
  assert.equal(shown.length, 12);
  assert.ok(membership.some(({ stopped }) => stopped > 0));
  // The first of twelve is whole here, and may be cut where only the last 365 days are asked for.
  assert.deepEqual(shown.slice(1).map(([, ...numbers]) => numbers), expected.slice(1));
  assert.deepEqual(await drawn(page, 'growth', ['accent', 'down', 'average']), ['accent', 'down', 'average']);
  await close(page, 'dashboard-growth');
});

test('the chart can show new members on those who had come before', LIMIT, async () => {
  const page = await open(browser(), gateway.base, '/?range=LAST_30_DAYS&by=WEEK');
  assert.deepEqual(await drawn(page, 'usage', ['before']), ['before']);
  await choose(page, 'Chart of', 'MEMBERS');
  assert.equal(new URL(page.url()).searchParams.get('measure'), 'MEMBERS');
  const { usage } = await query('usage(granularity: WEEK, filter: { range: LAST_30_DAYS }, timeZone: $timeZone, basis: $basis, gaps: ZERO) { buckets { newVisitors returningVisitors } }');
  const [head, ...shown] = await table(page, 'usage');
  assert.deepEqual(head.slice(-2), ['First time', 'Returning']);
  assert.ok(usage.buckets.some(({ newVisitors }) => newVisitors > 0));
  assert.deepEqual(shown.map((row) => row.slice(-2)), usage.buckets.map(({ newVisitors, returningVisitors }) => [whole(newVisitors), whole(returningVisitors)]));
  assert.deepEqual(await drawn(page, 'usage', ['accent', 'average']), ['accent', 'average']);
  const last = usage.buckets.at(-1);
  assert.ok((await page.locator('#usage [role=slider]').getAttribute('aria-valuetext')).endsWith(`First time ${whole(last.newVisitors)} · Returning ${whole(last.returningVisitors)}`));
  await close(page, 'dashboard-visitors');
});

test('what is chosen is in the address, can be shared, and going back works', LIMIT, async () => {
  const page = await open(browser(), gateway.base);
  const month = await number(page, 'Visits');
  await choose(page, 'Range', 'LAST_7_DAYS');
  const { usage } = await query('usage(filter: { range: LAST_7_DAYS }, timeZone: $timeZone, basis: $basis) { totals { visits } }');
  assert.equal(await number(page, 'Visits'), usage.totals.visits);
  assert.notEqual(usage.totals.visits, month);
  assert.equal((await table(page, 'usage')).length, 1 + 7);
  await choose(page, 'Show per', 'HOUR');
  assert.ok((await rows(page, '#usage details table')).length >= 1 + 6 * 24);
  await choose(page, 'A visit counts when', 'ISSUED_AT');
  await choose(page, 'Time zone', 'Pacific/Auckland');
  const there = Object.fromEntries(new URL(page.url()).searchParams);
  assert.deepEqual(there, { range: 'LAST_7_DAYS', by: 'HOUR', basis: 'ISSUED_AT', zone: 'Pacific/Auckland' });
  const elsewhere = await number(page, 'Visits');
  const asked = { timeZone: 'Pacific/Auckland', basis: 'ISSUED_AT' };
  assert.equal(elsewhere, (await query('usage(filter: { range: LAST_7_DAYS }, timeZone: $timeZone, basis: $basis) { totals { visits } }', asked)).usage.totals.visits);
  // Somebody else opens it, far away.
  const shared = await open(browser(), gateway.base, new URL(page.url()).search, { timezoneId: 'America/New_York' });
  assert.equal(await number(shared, 'Visits'), elsewhere);
  assert.equal(await select(shared, 'Time zone').inputValue(), 'Pacific/Auckland');
  await close(shared, 'dashboard-shared');
  for (const zone of [ZONE, ZONE, ZONE, ZONE]) {
    await page.goBack();
    await page.waitForFunction((zone) => document.querySelector('[name=zone]').value === zone, zone);
    await answered(page);
  }
  await page.waitForFunction((text) => document.querySelector('.tile .number').textContent === text, whole(month));
  assert.equal(await select(page, 'Range').inputValue(), 'LAST_30_DAYS');
  await close(page, 'dashboard-back');
});

test('a range of dates is chosen on the calendar', LIMIT, async () => {
  const page = await open(browser(), gateway.base);
  await choose(page, 'Range', 'CUSTOM');
  const to = new URL(page.url()).searchParams.get('to');
  const from = new Date(Date.parse(to) - 9 * 86_400_000).toISOString().slice(0, 10);
  const asked = page.waitForResponse((response) => response.url().includes(from));
  await page.getByLabel('From', { exact: true }).fill(from);
  await asked;
  await answered(page);
  const { usage } = await query(`usage(filter: { from: "${from}", to: "${to}" }, timeZone: $timeZone, basis: $basis) { totals { visits } }`);
  assert.equal(await number(page, 'Visits'), usage.totals.visits);
  assert.equal(new URL(page.url()).searchParams.get('from'), from);
  // The wrong way round: the page says so, and asks nothing.
  await page.getByLabel('To', { exact: true }).fill('2001-01-01');
  assert.equal(await page.getByLabel('To', { exact: true }).evaluate((input) => input.validationMessage), 'The range ends before it begins.');
  assert.equal(new URL(page.url()).searchParams.get('to'), to);
  await close(page, 'dashboard-dates');
  // Where nothing happened.
  const empty = await open(browser(), gateway.base, '/?from=2001-01-01&to=2001-01-31');
  assert.equal(await empty.locator('#usage .plot').textContent(), 'No visits in this range, and none in the one before.');
  assert.equal(await empty.locator('#heatmap .note').textContent(), 'No visits in this range.');
  assert.equal(await empty.locator('#funnel .empty').textContent(), 'No door codes were issued in this range.');
  await close(empty, 'dashboard-empty');
});

test('the hour that daylight saving time repeats is there twice, and can be told apart', LIMIT, async () => {
  const page = await open(browser(), gateway.base, `/?from=2025-10-26&to=2025-10-26&zone=${ZONE}`, { timezoneId: 'Asia/Tokyo' });
  const [, ...hours] = await table(page, 'usage');
  const names = hours.map(([name]) => name);
  assert.deepEqual([names.length, new Set(names).size], [25, 25]);
  assert.deepEqual(names.filter((name) => name.includes('02:00')).map((name) => name.split(' ').at(-1)), ['CEST', 'CET']);
  await close(page, 'dashboard-clocks');
});

test('members are searched, sorted, paged and divided into segments', LIMIT, async () => {
  const page = await open(browser(), gateway.base);
  const segment = (name) => page.getByRole('group', { name: 'Segment' }).getByRole('button', { name: new RegExp(`^${name} \\d`) });
  const ids = async () => (await rows(page, '#members table')).slice(1).map(([id]) => Number(id));
  const after = async (what) => {
    const asked = page.waitForResponse((response) => response.url().includes('/graphql?documentId='));
    await what();
    await asked;
  };
  const list = async (text) => (await query(`members(first: 30, timeZone: $timeZone, ${text.includes('filter') ? text : `filter: { isActive: true }, ${text}`}) { totalCount nodes { userId } } usage(basis: $basis) { totals { visits } }`)).members;
  const shows = (expected) => page.waitForFunction((expected) => [...document.querySelectorAll('#members tbody th')].map((cell) => Number(cell.textContent)).join() === expected, expected.join());
  const byVisits = (await list('orderBy: { field: VISITS, direction: DESC }')).nodes.map(({ userId }) => userId);
  await page.locator('#members').getByRole('button', { name: 'Visits', exact: true }).click();
  await shows(byVisits.slice(0, 15));
  assert.equal(await page.locator('#members th', { hasText: /^Visits/ }).getAttribute('aria-sort'), 'descending');
  await page.getByRole('button', { name: 'Next' }).click();
  await shows(byVisits.slice(15));
  await page.reload();
  await shows(byVisits.slice(15));
  await page.getByRole('button', { name: 'Previous' }).click();
  await shows(byVisits.slice(0, 15));
  await after(() => segment('Going quiet').click());
  const lapsing = await list('segment: LAPSING, orderBy: { field: VISITS, direction: DESC }');
  await shows(lapsing.nodes.map(({ userId }) => userId).slice(0, 15));
  assert.equal(await segment('Going quiet').getAttribute('aria-pressed'), 'true');
  // Each segment says how many are in it: current members, or all.
  const { segments } = await query('segments(timeZone: $timeZone) { segment members activeMembers } usage(basis: $basis) { totals { visits } }');
  const sizes = (measure) => [segments.filter((each) => each.segment !== 'NEW').reduce((sum, each) => sum + each[measure], 0), ...segments.map((each) => each[measure])].map(whole);
  assert.deepEqual(await texts(page, '#members .segments b'), sizes('activeMembers'));
  assert.equal(Number(sizes('activeMembers')[3].replaceAll(',', '')), lapsing.totalCount);
  await after(() => segment('All').click());
  assert.ok((await rows(page, '#members table')).slice(1).every((row) => row.at(-1) === 'current'));
  await after(() => page.getByLabel('Ended memberships too').check());
  await page.waitForFunction((text) => document.querySelector('.pager').textContent.startsWith(text), sizes('members')[0]);
  assert.deepEqual(await texts(page, '#members .segments b'), sizes('members'));
  assert.equal(new URL(page.url()).searchParams.get('ended'), '1');
  await after(() => page.getByLabel('Ended memberships too').uncheck());
  await page.getByLabel('Id', { exact: true }).fill('7');
  await page.keyboard.press('Enter');
  await shows([7]);
  assert.equal(new URL(page.url()).searchParams.get('member'), '7');
  for (let step = 0; step < 4; step++) await page.goBack();
  await shows(lapsing.nodes.map(({ userId }) => userId).slice(0, 15));
  assert.ok((await ids()).length > 0);
  await close(page, 'dashboard-members');
});

test('a code that opens the door moves the numbers without a reload, also after the gateway was gone', LIMIT, async () => {
  const page = await open(browser(), gateway.base, '/?range=TODAY&basis=USED_AT');
  await page.locator('#live[data-state=live]').waitFor();
  const before = await number(page, 'Visits');
  const shows = (visits) => page.waitForFunction((text) => document.querySelector('.tile .number').textContent === text, whole(visits));
  await page.evaluate(() => (window.isTheSame = true));
  gateway.use(3);
  await shows(before + 3);
  // All of the page follows: the members, last visits first.
  await page.waitForFunction(() => document.querySelector('#members tbody td:last-child').textContent === document.querySelectorAll('#members tbody tr')[2].lastElementChild.textContent);
  await gateway.restart(10_000);
  await page.locator('#live[data-state=live]').waitFor();
  gateway.use(2);
  await shows(before + 5);
  await gateway.pause(async () => {
    await page.locator('#live[data-state=lost]').waitFor();
    assert.match(await page.locator('#live').textContent(), /Connection lost, trying again Updated \d/);
  });
  await page.locator('#live[data-state=live]').waitFor();
  gateway.use(1);
  await shows(before + 6);
  assert.ok(await page.evaluate(() => window.isTheSame), 'the page was loaded again');
  await close(page, 'dashboard-live', [/WebSocket connection|ERR_CONNECTION_REFUSED|Failed to load resource/]);
});

test('one request brings the page; while nothing changed, the gateway sends nothing again', LIMIT, async () => {
  const requests = [];
  const prepare = (page) => page.on('request', (request) => new URL(request.url()).pathname === '/graphql' && requests.push(request));
  const page = await open(browser(), gateway.base, '/', { prepare });
  assert.equal(requests.length, 1);
  const protocol = await page.context().newCDPSession(page);
  const [urls, statuses] = [new Map(), new Map()];
  await protocol.send('Network.enable');
  protocol.on('Network.requestWillBeSent', ({ requestId, request }) => urls.set(requestId, request.url));
  // What came over the wire, which may come before the request is told.
  protocol.on('Network.responseReceivedExtraInfo', ({ requestId, statusCode }) => statuses.set(requestId, statusCode));
  await page.reload();
  await answered(page);
  const asked = [...urls].filter(([, url]) => url.includes('/graphql?')).map(([id]) => statuses.get(id));
  assert.deepEqual(asked, [304]);
  await close(page, 'dashboard-kept');
});

test('everything together is small', LIMIT, async () => {
  // In each language, what the browser really loads.
  for (const [locale, catalogue] of [['en-GB', []], ['de-DE', ['/dashboard/de.js']], ['he-IL', ['/dashboard/he.js']]]) {
    const paths = [];
    const prepare = (page) => page.on('request', (request) => request.resourceType() === 'fetch' || paths.push(new URL(request.url()).pathname));
    const page = await open(browser(), gateway.base, '/', { locale, prepare });
    await close(page, `dashboard-small-${locale}`);
    const files = paths.filter((path) => path === '/' || path.startsWith('/dashboard/'));
    assert.deepEqual(files, ['/', '/dashboard/dashboard.js', ...catalogue]);
    const sizes = await Promise.all(
      files.map(async (path) => {
        const response = await fetch(`${gateway.base}${path}`, { signal: AbortSignal.timeout(PATIENCE) });
        await response.arrayBuffer();
        return Number(response.headers.get('content-length'));
      }),
    );
    assert.ok(sizes.every((size) => size > 0));
    assert.ok(sizes.reduce((sum, size) => sum + size) < 90_000, String(sizes));
  }
});

test('what is shown can be taken along: as CSV, as a picture, as the question itself', LIMIT, async () => {
  const page = await open(browser(), gateway.base, '/?range=LAST_7_DAYS', { acceptDownloads: true });
  const saved = async (name) => {
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name, exact: true }).click()]);
    return { name: download.suggestedFilename(), bytes: await readFile(await download.path()) };
  };
  const { usage } = await query('usage(filter: { range: LAST_7_DAYS }, timeZone: $timeZone, basis: $basis, gaps: ZERO) { buckets { label visits } }');
  const csv = await saved('Save “Visits over time” as CSV');
  assert.equal(csv.name, 'coworking-usage.csv');
  const lines = csv.bytes.toString().trimEnd().split('\r\n');
  assert.equal(lines.length, 1 + 7);
  assert.deepEqual(
    lines.slice(1).map((line) => line.split(',').slice(0, 2).join()),
    usage.buckets.map(({ label, visits }) => `${label},${visits}`),
  );
  for (const [button, width] of [['Save “When the space is busy” as PNG', 1_000], ['Picture', 1_000]]) {
    const png = await saved(button);
    const { width: found, height, data } = PNG.sync.read(png.bytes);
    assert.ok(found > width && height > 200, `${found} x ${height}`);
    const colors = new Set();
    for (let at = 0; at < data.length; at += 4 * 97) colors.add(data.readUInt32BE(at));
    assert.ok(colors.size > 20, `${button}: only ${colors.size} colours`);
  }
  const shown = await number(page, 'Visits');
  await page.getByRole('link', { name: 'Open in GraphiQL' }).click();
  await page.locator('.graphiql-query-editor .CodeMirror').waitFor();
  const [response] = await Promise.all([page.waitForResponse((response) => response.url() === `${gateway.base}/graphql` && response.request().postDataJSON().operationName === 'Dashboard'), page.locator('.graphiql-execute-button').click()]);
  assert.equal((await response.json()).data.usage.totals.visits, shown);
  await close(page, 'dashboard-taken');
});

test('keys move over the chart, and say what is there', LIMIT, async () => {
  const page = await open(browser(), gateway.base, '/?range=LAST_7_DAYS');
  const { usage } = await query('usage(filter: { range: LAST_7_DAYS }, timeZone: $timeZone, basis: $basis, gaps: ZERO) { buckets { visits } }');
  const chart = page.getByRole('slider', { name: /^Visits over time/ });
  await chart.focus();
  await page.keyboard.press('Home');
  assert.match(await chart.getAttribute('aria-valuetext'), new RegExp(`Visits ${whole(usage.buckets[0].visits)} `));
  await page.keyboard.press('ArrowRight');
  assert.match(await chart.getAttribute('aria-valuetext'), new RegExp(`Visits ${whole(usage.buckets[1].visits)} `));
  assert.equal(await page.locator('#usage .readout').textContent(), await chart.getAttribute('aria-valuetext'));
  await page.keyboard.press('End');
  assert.match(await chart.getAttribute('aria-valuetext'), /incomplete/);
  await close(page, 'dashboard-keys');
});

for (const [name, options] of [
  ['light', { colorScheme: 'light' }],
  ['dark', { colorScheme: 'dark' }],
  ['phone', { colorScheme: 'light', viewport: { width: 390, height: 844 }, hasTouch: true }],
  ['wall', { colorScheme: 'dark', viewport: { width: 3840, height: 2160 } }],
]) {
  test(`${name}: accessible, nothing jumps, nothing sticks out`, LIMIT, async () => {
    const page = await open(browser(), gateway.base, '/', options);
    assert.ok((await page.evaluate(() => window.shifted)) < 0.02, `layout shifted by ${await page.evaluate(() => window.shifted)}`);
    const width = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(width[0] <= width[1], String(width));
    for (const summary of await page.locator('summary').all()) await summary.click();
    const violations = async () => {
      await page.evaluate(axe.source);
      const { violations } = await page.evaluate(() => window.axe.run());
      return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 200)).slice(0, 3).join(' | ')}`);
    };
    assert.deepEqual(await violations(), []);
    await page.getByRole('button', { name: 'Access key…', exact: true }).click();
    await page.getByRole('dialog', { name: 'Access key' }).waitFor();
    assert.deepEqual(await violations(), []);
    await close(page, `dashboard-accessible-${name}`);
  });
}

test('numbers and dates are those of the reader', LIMIT, async () => {
  const page = await open(browser(), gateway.base, '/?from=2001-01-01&to=2001-01-31', { locale: 'de-DE' });
  assert.match(await page.locator('.totals .note').textContent(), /27\. Nov\. – 27\. Dez\. 2000/);
  await page.goto(`${gateway.base}/`);
  await answered(page);
  const { usage } = await query('usage(filter: { range: LAST_30_DAYS }, timeZone: $timeZone, basis: $basis) { totals { tokensIssued } }');
  assert.equal((await texts(page, '.tile .number'))[2], new Intl.NumberFormat('de-DE').format(usage.totals.tokensIssued));
  await close(page, 'dashboard-german');
});

// What a catalogue says, without what it fills in: words of four letters and more.
async function said(language) {
  const text = await readFile(fromHere(`../../web/src/words/${language}.ts`), 'utf8');
  const lines = text.split('\n').filter((line) => !/^(import|\s*\/[/*])/.test(line));
  const quoted = [...lines.join('\n').matchAll(/'([^'\n]*)'|`([^`]*)`/g)].flatMap(([, plain, filled = '']) => plain ?? filled.split(/\$\{[^}]*\}/));
  return quoted.map((part) => part.replace(/^\W+|\W+$/g, '')).filter((part) => /\p{L}{4}/u.test(part));
}

// Whatever can be read on the page: texts, and what is said of elements.
const readable = (page) =>
  page.evaluate(() => {
    const found = [document.title, document.documentElement.lang];
    for (const element of document.body.querySelectorAll('*:not(script, style, noscript)')) {
      for (const { nodeType, nodeValue } of element.childNodes) if (nodeType === Node.TEXT_NODE) found.push(nodeValue);
      for (const name of ['aria-label', 'aria-valuetext', 'title', 'placeholder']) found.push(element.getAttribute(name) ?? '');
    }
    return found.filter((text) => /\p{L}/u.test(text));
  });

test('a German page has no English sentence left', LIMIT, async () => {
  const [english, german] = await Promise.all(['en', 'de'].map(said));
  assert.ok(english.length > 150 && english.includes('Going quiet') && german.includes('Wird still'));
  const foreign = english.filter((part) => !german.some((other) => other.includes(part)));
  const check = async (page) => {
    const texts = await readable(page);
    assert.ok(texts.includes('Auswertung des Coworking-Space') && texts.some((text) => text.startsWith('Verglichen mit ') || text.startsWith('Aufgezeichnet wird seit ')), 'it is in German');
    for (const part of foreign) {
      const whole = new RegExp(`(?<!\\p{L})${part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}(?!\\p{L})`, 'u');
      assert.deepEqual(texts.filter((text) => whole.test(text)), [], `“${part}” is English`);
    }
  };
  const page = await open(browser(), gateway.base, '/', { locale: 'de-AT' });
  for (const summary of await page.locator('summary').all()) await summary.click();
  assert.equal(await page.locator('html').getAttribute('lang'), 'de-AT');
  await check(page);
  await close(page, 'dashboard-german-page');
  const month = await open(browser(), gateway.base, '/?view=month', { locale: 'de-DE' });
  await check(month);
  await close(month, 'dashboard-german-month');
  // The link's language, with the same calendar whatever else it asks for; it stays in the address.
  const linked = await open(browser(), gateway.base, '/?lang=de-u-ca-persian&from=2001-01-01&to=2001-01-31');
  await check(linked);
  assert.match(await linked.locator('#usage .note').textContent(), /Zeitraum davor/);
  assert.match(await linked.locator('.totals .note').textContent(), /27\. Nov\. – 27\. Dez\. 2000/);
  await choose(linked, 'Zeitraum', 'LAST_7_DAYS');
  assert.equal(new URL(linked.url()).searchParams.get('lang'), 'de-u-ca-persian');
  await close(linked, 'dashboard-german-link');
  // Problems too.
  const closed = await Gateway.start({ ANONYMOUS_SCOPES: 'none' });
  try {
    const refused = await open(browser(), closed.base, '/?lang=de');
    assert.match(await refused.locator('#notice').textContent(), /^Das sehen nur die/);
    await refused.getByRole('button', { name: 'Zugangsschlüssel eingeben…' }).click();
    const texts = await readable(refused);
    assert.deepEqual(foreign.filter((part) => texts.includes(part)), []);
    await close(refused, 'dashboard-german-refused', [/Failed to load resource.*401/]);
  } finally {
    await closed.stop();
  }
});

test('a language that the page does not know is English, with dates as in the world, and Gregorian months', LIMIT, async () => {
  const page = await open(browser(), gateway.base, '/?from=2001-01-01&to=2001-01-31', { locale: 'fa-IR' });
  assert.equal(await page.locator('html').getAttribute('lang'), 'en-150');
  assert.match(await page.locator('.totals .note').textContent(), /27 Nov(ember)?\s–\s27 Dec(ember)? 2000/);
  // The week is that of the reader.
  assert.equal((await rows(page, '#heatmap table'))[1][0], 'Sat');
  await close(page, 'dashboard-persian');
});

test('weeks begin where the reader lives, everywhere on the page, and stay so in the link', LIMIT, async () => {
  const page = await open(browser(), gateway.base, '/?range=LAST_WEEK&basis=USED_AT', { locale: 'en-US' });
  assert.equal((await rows(page, '#heatmap table'))[1][0], 'Sun');
  const { usage } = await query('usage(filter: { range: LAST_WEEK }, timeZone: $timeZone, basis: $basis, weekStart: SUNDAY) { from to totals { visits } }');
  assert.equal(await number(page, 'Visits'), usage.totals.visits);
  const { heatmap, tokenFunnel } = await query(`heatmap(filter: { from: "${usage.from}", to: "${usage.to}" }, timeZone: $timeZone, basis: $basis) { visits } tokenFunnel(filter: { from: "${usage.from}", to: "${usage.to}" }, timeZone: $timeZone) { issued }`);
  const shown = await page.locator('#heatmap tbody td').evaluateAll((cells) => cells.reduce((sum, { title }) => sum + Number(title.match(/([\d,]+) in all/)[1].replaceAll(',', '')), 0));
  assert.equal(shown, heatmap.visits);
  assert.equal((await rows(page, '#funnel table'))[1][1], whole(tokenFunnel.issued));
  await choose(page, 'Show per', 'WEEK');
  assert.equal((await table(page, 'usage')).length, 1 + 1);
  assert.equal(new URL(page.url()).searchParams.get('week'), 'SUNDAY');
  const shared = await open(browser(), gateway.base, new URL(page.url()).search, { locale: 'en-GB' });
  assert.equal(await number(shared, 'Visits'), usage.totals.visits);
  await close(shared, 'dashboard-week-shared');
  await close(page, 'dashboard-week');
});

test('a Hebrew page is from right to left, and has no English sentence left', LIMIT, async () => {
  const [english, hebrew] = await Promise.all(['en', 'he'].map(said));
  const foreign = english.filter((part) => part.length > 3 && !hebrew.some((other) => other.includes(part)));
  for (const viewport of [{ width: 390, height: 844 }, { width: 1440, height: 900 }]) {
    const page = await open(browser(), gateway.base, '/', { viewport, locale: 'he-IL' });
    assert.deepEqual(await page.evaluate(() => [document.documentElement.lang, document.documentElement.dir]), ['he-IL', 'rtl']);
    const found = await readable(page);
    assert.ok(found.includes('ביקורים לאורך זמן') && found.includes('נעלמים'));
    assert.deepEqual(foreign.filter((part) => found.includes(part)), []);
    const { usage } = await query('usage(filter: { range: LAST_30_DAYS }, timeZone: $timeZone, basis: $basis) { totals { visits } }');
    assert.equal((await texts(page, '.tile .number'))[0], new Intl.NumberFormat('he-IL').format(usage.totals.visits));
    // Time goes from left to right, as charts do here: the first bucket is at the left, and so is the key to it.
    assert.equal(await page.locator('#usage .plot').evaluate((plot) => getComputedStyle(plot).direction), 'ltr');
    await page.evaluate(axe.source);
    assert.deepEqual(await page.evaluate(async () => (await window.axe.run()).violations.map(({ id }) => id)), []);
    const [width, room] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(width <= room, `${width} of ${room}`);
    // Titles begin at the right, and the buttons that save keep clear of them.
    for (const id of ['usage', 'heatmap', 'members']) {
      const [panel, tools] = await Promise.all([`#${id}`, `#${id} .tools`].map((each) => page.locator(each).boundingBox()));
      assert.ok(tools.x - panel.x < panel.width / 3, `${id}: buttons at the left`);
    }
    const [first, last] = await Promise.all(['th:first-child', 'td:last-child'].map((each) => page.locator(`#heatmap tbody tr:first-child ${each}`).boundingBox()));
    assert.ok(first.x > last.x, 'the first column is at the right');
    await close(page, `dashboard-right-to-left-${viewport.width}`);
  }
});

test('names need a key: the rest is shown without, and says what is missing', LIMIT, async () => {
  const binary = resolve(process.env.GATEWAY_BIN);
  const made = spawnSync(binary, ['key', 'new', 'desk', '--scopes', 'reports,members', '--until', '2099-01-01'], { encoding: 'utf8' });
  const [[key], [line]] = [made.stdout.match(/cwa_\S+/), made.stderr.match(/^desk .*$/m)];
  const closed = await Gateway.start({ ANONYMOUS_SCOPES: 'reports', API_KEYS: line });
  try {
    const requests = [];
    const prepare = (page) => page.on('request', (request) => new URL(request.url()).pathname === '/graphql' && requests.push(request.url()));
    const page = await open(browser(), closed.base, '/', { prepare });
    assert.ok((await number(page, 'Visits')) > 0);
    const notice = page.locator('#members .notice');
    assert.match(await notice.textContent(), /scope/);
    assert.equal(await page.locator('#members tbody').count(), 0);
    await notice.getByRole('button', { name: 'Enter an access key…' }).click();
    await page.getByLabel('Key', { exact: true }).fill(key);
    await page.getByRole('button', { name: 'Cancel' }).click();
    assert.ok(await notice.isVisible());
    await notice.getByRole('button', { name: 'Enter an access key…' }).click();
    await page.getByLabel('Key', { exact: true }).fill(key);
    await page.keyboard.press('Enter');
    await page.locator('#members tbody tr').nth(14).waitFor();
    assert.ok(await notice.isHidden());
    await page.locator('#live[data-state=live]').waitFor();
    await page.reload();
    await page.locator('#members tbody tr').nth(14).waitFor();
    // GraphiQL has it as well, and keeps the question beside other tabs.
    for (const tabs of [16, 17]) {
      await page.getByRole('link', { name: 'Open in GraphiQL' }).click();
      const [response] = await Promise.all([page.waitForResponse((response) => response.request().postDataJSON()?.operationName === 'Dashboard'), page.locator('.graphiql-execute-button').click()]);
      const { data, errors } = await response.json();
      assert.deepEqual([errors, data.members.nodes.length], [undefined, 15]);
      await page.waitForFunction((tabs) => document.querySelectorAll('.graphiql-tab-button').length === tabs, tabs);
      await page.waitForFunction(() => localStorage.getItem('graphiql:tabState')?.includes('query Dashboard'));
      assert.ok(!(await page.evaluate(() => JSON.stringify(localStorage))).includes(key));
      await page.goBack();
      await page.locator('#members tbody tr').nth(14).waitFor();
      await page.getByRole('button', { name: /^Active \d/ }).click();
      await page.waitForFunction(() => location.search.includes('ACTIVE') && document.querySelector('#query').href.includes('ACTIVE'));
    }
    // A wrong one is refused, whatever is asked.
    await page.getByRole('button', { name: 'Access key…', exact: true }).click();
    await page.getByLabel('Key', { exact: true }).fill('cwa_wrong');
    await page.getByRole('button', { name: 'Use it' }).click();
    await page.locator('#notice').waitFor();
    await page.locator('#live[data-state=refused]').waitFor();
    await page.getByRole('button', { name: 'Access key…', exact: true }).click();
    await page.getByRole('button', { name: 'Forget it' }).click();
    await page.locator('#notice').waitFor({ state: 'hidden' });
    await page.locator('#live[data-state=live]').waitFor();
    assert.ok(requests.every((url) => !url.includes(key)), 'the key is in no address');
    await close(page, 'dashboard-key', [/Failed to load resource.*401/, /WebSocket/]);
  } finally {
    await closed.stop();
  }
});

test('where nothing is open, the page asks for a key once', LIMIT, async () => {
  const closed = await Gateway.start({ ANONYMOUS_SCOPES: 'none' });
  try {
    const page = await open(browser(), closed.base);
    assert.equal(await page.getByRole('button', { name: 'Enter an access key…' }).count(), 1);
    assert.equal(await page.locator('#verdict h2').textContent(), 'No numbers yet');
    // An open connection that brings nothing is not live.
    await page.waitForFunction(() => document.querySelector('#live').textContent.trim() === 'Access key needed');
    assert.equal(await page.locator('#live').getAttribute('data-state'), 'refused');
    await close(page, 'dashboard-closed', [/Failed to load resource.*401/]);
  } finally {
    await closed.stop();
  }
});

test('problems are told, and can be tried again', LIMIT, async () => {
  let isOut = true;
  const prepare = (page) => page.route((url) => url.pathname === '/graphql', (route) => (isOut ? route.abort() : route.continue()));
  const page = await open(browser(), gateway.base, '/', { prepare });
  assert.match(await page.locator('#notice').textContent(), /The gateway cannot be reached\./);
  isOut = false;
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.locator('#notice').waitFor({ state: 'hidden' });
  assert.ok((await number(page, 'Visits')) > 0);
  await close(page, 'dashboard-problem', [/net::ERR_FAILED/]);
});

test('numbers of the range before are pale until those of the new one are there', LIMIT, async () => {
  let isOut = false;
  const prepare = (page) => page.route((url) => url.pathname === '/graphql', (route) => (isOut ? route.abort() : route.continue()));
  const page = await open(browser(), gateway.base, '/', { prepare });
  const pale = () => page.locator('#totals').evaluate((element) => getComputedStyle(element).opacity !== '1');
  assert.ok(!(await pale()));
  isOut = true;
  await select(page, 'Range').selectOption('LAST_7_DAYS');
  await page.locator('#notice', { hasText: 'The pale numbers are those of the range before.' }).waitFor();
  assert.ok(await pale());
  await select(page, 'Range').selectOption('LAST_30_DAYS');
  await page.waitForFunction(() => !document.querySelector('#notice').hidden && !document.body.classList.contains('stale'));
  assert.match(await page.locator('#notice').textContent(), /^The gateway cannot be reached\. Try again$/);
  await select(page, 'Range').selectOption('LAST_7_DAYS');
  await page.locator('body.stale').waitFor();
  isOut = false;
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.locator('#notice').waitFor({ state: 'hidden' });
  await page.waitForFunction(() => getComputedStyle(document.querySelector('#totals')).opacity === '1');
  assert.equal((await table(page, 'usage')).length, 1 + 7);
  await close(page, 'dashboard-pale', [/net::ERR_FAILED/]);
});

test('an address that says nonsense shows what one that says nothing shows', LIMIT, async () => {
  const page = await open(browser(), gateway.base, '/?range=NEVER&zone=Mars/Olympus&by=MINUTE&basis=X&segment=BEST&sort=NAME&member=-1.5&from=2001-02-30&to=x&after=');
  assert.deepEqual(await Promise.all(['Range', 'Show per', 'Time zone'].map((label) => select(page, label).inputValue())), ['LAST_30_DAYS', 'AUTO', ZONE]);
  assert.ok(await page.locator('#notice').isHidden());
  assert.ok((await number(page, 'Visits')) > 0);
  await close(page, 'dashboard-nonsense');
  // What only the gateway can tell to be wrong, it tells.
  const stale = await open(browser(), gateway.base, '/?after=nonsense');
  assert.match(await stale.locator('#members .notice').textContent(), /asks for something that is not there/);
  assert.ok((await number(stale, 'Visits')) > 0);
  await close(stale, 'dashboard-stale');
});

test('a browser that does not say its zone shows days of UTC, and says so', LIMIT, async () => {
  const nowhere = await launch({ env: { ...process.env, TZ: 'Etc/Unknown' } });
  try {
    const page = await open(nowhere, gateway.base, '/', { timezoneId: undefined });
    assert.equal(await page.evaluate(() => Intl.DateTimeFormat().resolvedOptions().timeZone), 'Etc/Unknown');
    const { usage } = await query('usage(filter: { range: LAST_30_DAYS }, timeZone: $timeZone, basis: $basis) { totals { visits } }', { ...RANGE, timeZone: 'UTC' });
    assert.equal(await number(page, 'Visits'), usage.totals.visits);
    assert.equal(await select(page, 'Time zone').inputValue(), 'UTC');
    const note = page.getByText('This browser does not say in which time zone it is');
    assert.ok(await note.isVisible());
    await page.waitForFunction(() => document.querySelector('[name=zone]').options.length > 400);
    await choose(page, 'Time zone', ZONE);
    assert.ok(await note.isHidden());
    await close(page, 'dashboard-nowhere');
  } finally {
    await nowhere.close();
  }
});

test('the zone and the basis of the space come before those of the browser, and after those of a link', LIMIT, async (test) => {
  const other = await Gateway.start({ DEFAULT_TIME_ZONE: 'Pacific/Auckland', DEFAULT_BASIS: 'ISSUED_AT' });
  test.after(() => other.stop());
  const visits = async (asked) => (await ask(other.base, 'query Q($timeZone: TimeZone!, $basis: TimeBasis!) { usage(filter: { range: LAST_7_DAYS }, timeZone: $timeZone, basis: $basis) { totals { visits } } }', asked)).usage.totals.visits;
  const page = await open(browser(), other.base, '/?range=LAST_7_DAYS');
  assert.deepEqual([await select(page, 'Time zone').inputValue(), await select(page, 'A visit counts when').inputValue()], ['Pacific/Auckland', 'ISSUED_AT']);
  assert.equal(await number(page, 'Visits'), await visits({ timeZone: 'Pacific/Auckland', basis: 'ISSUED_AT' }));
  const note = page.locator('#zone-note');
  assert.equal(await note.textContent(), 'Days and hours are those of Pacific/Auckland.');
  assert.ok(await note.isVisible());
  await page.waitForFunction(() => document.querySelector('[name=zone]').options.length > 400);
  await choose(page, 'Time zone', ZONE);
  assert.ok(await note.isHidden());
  await close(page, 'dashboard-zone-of-the-space');
  const linked = await open(browser(), other.base, `/?range=LAST_7_DAYS&basis=USED_AT&zone=UTC`);
  assert.equal(await number(linked, 'Visits'), await visits({ timeZone: 'UTC', basis: 'USED_AT' }));
  assert.equal(await linked.locator('#zone-note').textContent(), 'Days and hours are those of UTC.');
  await close(linked, 'dashboard-zone-of-the-link');
});

test('zones are those that the gateway knows, and no others', LIMIT, async () => {
  const page = await open(browser(), gateway.base);
  const isKnown = async (zone) => (await fetch(`${gateway.base}/api/reports/token_funnel?${new URLSearchParams({ time_zone: zone })}`)).ok;
  await page.waitForFunction(() => document.querySelector('[name=zone]').options.length > 400);
  for (const zone of await select(page, 'Time zone').evaluate(({ options }) => [...options].map(({ value }) => value))) assert.ok(await isKnown(zone), zone);
  for (const zone of ['Asia/Kolkata', 'Europe/Kyiv', 'Australia/Sydney', 'UTC', 'utc', '+05:30', 'EUROPE/BERLIN', 'asia/kolkata', 'Asia/KOLKATA', 'Etc/Unknown', 'PST', '']) {
    await page.goto(`${gateway.base}/?${new URLSearchParams({ zone })}`);
    await answered(page);
    assert.equal(await select(page, 'Time zone').inputValue(), (await isKnown(zone)) && zone ? zone : ZONE, zone);
    assert.ok(await page.locator('#notice').isHidden(), zone);
  }
  await close(page, 'dashboard-zones');
});

test('what is incomplete is drawn, also where nothing else is', LIMIT, async () => {
  // Of today alone, active members are lone points; of two parts of months, an average is a line.
  for (const [path, id, names] of [
    ['/?range=TODAY', 'active', ['accent', 'average', 'third']],
    ['/?range=THIS_MONTH&by=MONTH', 'usage', ['average']],
    ['/?range=THIS_YEAR&by=YEAR', 'usage', ['average']],
  ]) {
    const page = await open(browser(), gateway.base, path);
    assert.deepEqual(await drawn(page, id, names), names, path);
    await close(page, `dashboard-incomplete-${id}`);
  }
});

for (const each of PICTURES) {
  test(`${each.name} looks as it did: or \`make pictures\`, and look at the difference`, LIMIT, async () => {
    const [kept, taken] = [PNG.sync.read(await readFile(picture(each.name))), PNG.sync.read(await take(browser(), gateway.base, each))];
    assert.equal(taken.width, kept.width);
    assert.ok(Math.abs(taken.height - kept.height) < 30, `${taken.height} pixels high instead of ${kept.height}`);
    const height = Math.min(taken.height, kept.height);
    const top = ({ data, width }) => data.subarray(0, width * height * 4);
    const different = pixelmatch(top(kept), top(taken), null, kept.width, height, { threshold: 0.2 });
    const part = different / (kept.width * height);
    assert.ok(part < 0.02, `${(100 * part).toFixed(2)} % of the pixels differ`);
  });
}

test('a picture of something else would be noticed', LIMIT, async () => {
  const [light, dark] = await Promise.all(PICTURES.slice(0, 2).map(async ({ name }) => PNG.sync.read(await readFile(picture(name)))));
  assert.ok(pixelmatch(light.data, dark.data, null, light.width, light.height, { threshold: 0.2 }) > 0.5 * light.width * light.height);
});
