// Whether the space does better than before, in a sentence: so far, beside the same weekdays up to the same hour.
import type { DashboardQuery } from '../documents';
import { byId, h } from '../dom';
import { SMALL, change, count, date, dateRange, monthName } from '../format';
import { direction } from './usage';

type Period = NonNullable<DashboardQuery['thisMonth']>;

/** A month is worth a sentence from so many days on; before, the week is. */
const DAYS = 8;

/** `recordedFrom` is the day of the first door code ever. */
export function show(thisMonth: Period, thisWeek: Period, recordedFrom: string | null | undefined): void {
  const isMonth = Number(thisMonth.to?.slice(8)) >= DAYS;
  const { from, previous } = isMonth ? thisMonth : thisWeek;
  const [now, then] = [previous.current.totals.visits, previous.totals.visits];
  const name = isMonth ? monthName(from!) : 'this week';
  const days = previous.from === previous.to ? date(previous.from) : dateRange(previous.from, previous.to);
  const isRecorded = !!recordedFrom && recordedFrom <= previous.from;
  const ratio = isRecorded && now >= SMALL && then >= SMALL ? now / then - 1 : null;
  const element = byId('verdict');
  element.className = `verdict ${direction(ratio ?? (isRecorded ? now - then : 0))}`;
  const before = isRecorded
    ? `${count(then)} on the same weekdays up to the same hour: ${days}.`
    : recordedFrom
      ? `Recorded since ${date(recordedFrom)}: there is nothing before to compare with.`
      : 'No door code was issued yet.';
  element.replaceChildren(
    h('h2', { id: 'verdict-title' }, ratio === null ? numbers(now, isRecorded ? then : null, name) : inWords(ratio, name)),
    h('p', {}, `${count(now)} visits so far in ${name}${isRecorded ? ', ' : '. '}${before}`),
  );
}

/** While there is nothing to compare. */
export function unknown(): void {
  byId('verdict').replaceChildren(h('h2', { id: 'verdict-title' }, 'No numbers yet'), h('p', {}, 'The numbers appear here as soon as the gateway answers.'));
}

function numbers(now: number, then: number | null, name: string): string {
  const visits = `${count(now)} ${now === 1 ? 'visit' : 'visits'} so far in ${name}`;
  return then === null ? visits : `${visits}, ${count(then)} before`;
}

function inWords(ratio: number, name: string): string {
  const percent = change(Math.abs(ratio)).replace('+', '');
  const sentence = Math.abs(ratio) < 0.005 ? 'as busy as before' : ratio > 0 ? `${percent} busier` : `${percent} quieter`;
  return `${name[0]!.toUpperCase()}${name.slice(1)} is ${sentence}`;
}
