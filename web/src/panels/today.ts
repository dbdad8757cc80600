// Today so far, beside the same weekday of the last eight weeks up to the same hour.
import type { DashboardQuery } from '../documents';
import { byId, h } from '../dom';
import { SMALL, count, decimal, hourName, local, localDate, weekdayName, weekdayOf } from '../format';
import { USUAL_WEEKS, addDays } from '../view';
import { words } from '../words';

type Today = NonNullable<DashboardQuery['today']>;
type Usual = NonNullable<DashboardQuery['usual']>;

/** `recordedFrom` is the day of the first door code ever: before it, there are no usual days. */
export function show(today: Today, usual: Usual, zone: string, recordedFrom: string | null): void {
  const element = byId('today');
  const day = today.to;
  element.hidden = recordedFrom === null || !day;
  if (recordedFrom === null || !day) return;
  const said = words.today;
  const weekday = weekdayName(weekdayOf(day), 'long');
  // Only whole hours can be compared.
  const hour = localDate(Date.now(), zone) === day ? local(Date.now(), zone).hour : 24;
  const sum = (buckets: Today['buckets'], counts: (hour: number) => boolean) =>
    buckets.reduce((all, { startMillis, visits }) => all + (counts(local(startMillis, zone).hour) ? (visits ?? 0) : 0), 0);
  const isOver = (each: number) => each < hour;
  const soFar = today.totals.visits;
  const byNow = sum(today.buckets, isOver);
  const days = Array.from({ length: USUAL_WEEKS }, (_, index) => addDays(day, -7 * (index + 1))).filter((each) => each >= recordedFrom).length;
  const clock = (at: number) => hourName(at % 24, 'full');
  const facts: [string, string][] = [];
  if (hour) facts.push([said.between(clock(hour - 1), clock(hour)), count(sum(today.buckets, (each) => each === hour - 1))]);
  if (hour < 24) facts.push([said.since(clock(hour)), count(sum(today.buckets, (each) => each >= hour))]);
  if (days) {
    const [usualByNow, whole] = [sum(usual.buckets, isOver) / days, sum(usual.buckets, () => true) / days];
    // Proportions of small numbers are chance.
    const expected = usualByNow >= SMALL ? (byNow * whole) / usualByNow : byNow + whole - usualByNow;
    facts.push([said.usual(weekday, clock(hour)), said.beside(decimal(usualByNow), count(byNow))], [said.expected, count(Math.max(Math.round(expected), soFar))]);
  }
  element.replaceChildren(
    h('h2', { id: 'today-title' }, words.page.today),
    h('p', { class: 'number' }, said.visits(soFar, count(soFar))),
    h('dl', {}, ...facts.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value)))),
    h('p', { class: 'note' }, days ? said.mean(weekday, days) : said.noUsual(weekday)),
  );
}
