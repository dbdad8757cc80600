// Whether the space does better than last month, in a sentence.
import type { DashboardQuery } from '../documents';
import { byId, h } from '../dom';
import { change, count, monthName } from '../format';
import { direction } from './usage';

type ThisMonth = NonNullable<DashboardQuery['thisMonth']>;
type LastMonth = NonNullable<DashboardQuery['lastMonth']>;

/** Days that are over, against the same days of the month before; on the first of a month, the two months before. */
export function show(thisMonth: ThisMonth, lastMonth: LastMonth): void {
  const days = thisMonth.buckets.flatMap(({ visits, isPartial }, index) => {
    const then = thisMonth.previous.buckets[index]?.visits;
    return isPartial || then === null || then === undefined ? [] : [{ now: visits ?? 0, then }];
  });
  const total = (side: 'now' | 'then') => days.reduce((sum, day) => sum + day[side], 0);
  const month = monthName(days.length ? thisMonth.from! : lastMonth.from!);
  const before = monthName(days.length ? thisMonth.previous.from : lastMonth.previous.from);
  const [now, then] = days.length ? [total('now'), total('then')] : [lastMonth.previous.current.totals.visits, lastMonth.previous.totals.visits];
  const ratio = then ? now / then - 1 : null;
  const period = days.length ? `in the first ${days.length === 1 ? 'day' : `${count(days.length)} days`} of ${month}` : `in ${month}`;
  const reference = days.length ? `in the same ${days.length === 1 ? 'day' : 'days'} of ${before}` : `in ${before}`;
  const element = byId('verdict');
  element.className = `verdict ${direction(ratio)}`;
  element.replaceChildren(
    h('h2', { id: 'verdict-title' }, headline(ratio, now, before)),
    h('p', {}, `${count(now)} visits ${period}, ${count(then)} ${reference}.${days.length ? ' Today counts tomorrow, when it is over.' : ''}`),
  );
}

/** While there is nothing to compare. */
export function unknown(): void {
  byId('verdict').replaceChildren(h('h2', { id: 'verdict-title' }, 'No numbers yet'), h('p', {}, 'The numbers appear here as soon as the gateway answers.'));
}

function headline(ratio: number | null, now: number, before: string): string {
  if (ratio === null) return now ? `Busier than ${before}, which had no visits` : 'No visits this month, and none in the one before';
  const percent = change(Math.abs(ratio)).replace('+', '');
  if (Math.abs(ratio) < 0.005) return `As busy as ${before}`;
  return ratio > 0 ? `${percent} busier than ${before}` : `${percent} quieter than ${before}`;
}
