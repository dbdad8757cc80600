// A month on a page of its own: its headline, its days as a calendar, and what stands out.
import type { DashboardQuery } from '../documents';
import { byId, fill, h, heatCell } from '../dom';
import { NONE, SMALL, count, date, dateRange, decimal, hourName, localDate, percent, weekdayName, weekdayOf, weekdays } from '../format';
import { onDay } from '../notes';
import { cell, type Sheet } from '../sheet';
import { type View, addDays, address, ofMonth, today } from '../view';
import { words } from '../words';
import { known } from './growth';
import { Panel } from './panel';
import { direction, isRecorded } from './usage';

const said = words.month;
const title = document.title;

let days: { day: string; visits: number | null }[] = [];
let figures: [string, string][] = [];
const calendar = new Panel('days', () => ({ caption: words.page.days, columns: [words.active.day, words.usage.visits], rows: days.map(({ day, visits }) => [cell(date(day), day), cell(count(visits), visits)]) }));
const top = new Panel('top', (): Sheet => ({ caption: words.page.top, columns: [words.funnel.measure, words.funnel.value], rows: figures.map(([name, value]) => [cell(name), cell(value)]) }));

const nameOf = (month: string) => date(`${month}-01`, { month: 'long', year: 'numeric' });

/** Links to the months beside this one, as far as they have begun, and to the dashboard of this one. */
export function link(view: View): void {
  document.title = view.month ? `${nameOf(view.month)} – ${title}` : title;
  byId<HTMLAnchorElement>('month').href = address(ofMonth(view, today(view.zone).slice(0, 7)));
  if (!view.month) return;
  const [before, after] = [addDays(view.from, -1), addDays(view.to, 1)].map((day) => day.slice(0, 7)) as [string, string];
  const to = (text: string, there: View) => h('a', { href: address(there) }, text);
  byId('months').replaceChildren(
    to(`← ${nameOf(before)}`, ofMonth(view, before)),
    after <= today(view.zone).slice(0, 7) ? to(`${nameOf(after)} →`, ofMonth(view, after)) : '',
    to(said.dashboard, { ...view, month: '' }),
  );
}

export function show({ usage, heatmap, membership }: DashboardQuery, view: View, recordedFrom: string | null): void {
  if (!usage || !heatmap) return;
  const { buckets, totals, previous } = usage;
  const name = nameOf(view.month);
  const isCompared = isRecorded(usage, recordedFrom);
  const then = previous.totals.visits;
  const now = then + (previous.change.visits ?? 0);
  const ratio = isCompared && Math.min(now, then) >= SMALL ? now / then - 1 : null;
  const part = percent(Math.abs(ratio ?? 0));
  const visits = said.visits(totals.visits, count(totals.visits));
  const verdict = byId('verdict');
  verdict.className = `verdict ${direction(ratio)}`;
  verdict.replaceChildren(
    h('h2', { id: 'verdict-title' }, ratio === null ? said.alone(name, visits) : ratio > 0 ? said.more(name, part) : ratio < 0 ? said.less(name, part) : said.same(name)),
    h('p', {}, isCompared ? said.compared(visits, count(then), dateRange(previous.from, previous.to)) : `${visits}.`),
  );

  const recorded = new Map(buckets.map(({ startMillis, visits }) => [localDate(startMillis, view.zone), startMillis > Date.now() ? null : (visits ?? null)]));
  days = [...recorded].map(([day, visits]) => ({ day, visits }));
  const most = Math.max(0, ...days.map(({ visits }) => visits ?? 0));
  const week = weekdays(view.week);
  const start = addDays(view.from, -week.indexOf(weekdayOf(view.from)));
  const rows = Array.from({ length: 6 }, (_, row) => week.map((_, column) => addDays(start, 7 * row + column))).filter(([first]) => first! <= view.to);
  const square = (day: string) => {
    if (day < view.from || day > view.to) return h('td', { class: 'future' });
    const visits = recorded.get(day);
    const noted = onDay(day);
    const square = heatCell(most ? (visits ?? 0) / most : 0, { title: noted ? words.chart.noted(date(day), noted) : date(day) }, '');
    square.append(h('small', {}, date(day, { day: 'numeric' })), ' ', h('b', {}, count(visits)), ...(noted ? [h('span', {}, noted)] : []));
    return square;
  };
  fill(
    calendar.body,
    h(
      'table',
      { class: 'heat calendar' },
      h('caption', { class: 'unseen' }, words.page.daysNote),
      h('thead', {}, h('tr', {}, ...week.map((each) => h('th', { scope: 'col' }, weekdayName(each))))),
      h('tbody', {}, ...rows.map((row) => h('tr', {}, ...row.map(square)))),
    ),
  );

  const busiest = days.find(({ visits }) => most && visits === most);
  const peak = heatmap.cells.reduce((best, each) => ((each.average ?? 0) > (best?.average ?? 0) ? each : best), heatmap.cells[0]);
  const byWeekday = week.map((weekday) => ({ weekday, average: heatmap.cells.reduce((sum, each) => sum + (each.weekday === weekday ? (each.average ?? 0) : 0), 0) }));
  const best = byWeekday.reduce((most, each) => (each.average > most.average ? each : most));
  const found = membership?.find(({ startMillis }) => localDate(startMillis, view.zone) === view.from);
  const growth = found && known(found, view.zone, recordedFrom);
  figures = [
    [said.busiestDay, busiest ? said.on(date(busiest.day, { weekday: 'long', day: 'numeric', month: 'long' }), said.visits(most, count(most))) : NONE],
    [said.busiestWeekday, best.average ? said.on(weekdayName(best.weekday, 'long'), said.expected(decimal(best.average))) : NONE],
    [said.busiestHour, peak?.average ? said.on(`${weekdayName(peak.weekday, 'long')}, ${hourName(peak.hour, 'full')}`, said.expected(decimal(peak.average))) : NONE],
    [words.usage.newMembers, count(totals.newVisitors)],
    [words.usage.returning, count(totals.returningVisitors)],
    [words.growth.joined, count(growth?.joined)],
    [words.growth.stopped, count(growth?.stopped)],
  ];
  fill(top.body, h('dl', {}, ...figures.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value)))));
}
