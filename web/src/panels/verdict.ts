// Whether the space does better than before, in a sentence: so far, beside the same weekdays up to the same hour.
import type { DashboardQuery } from '../documents';
import { byId, h } from '../dom';
import { SMALL, count, date, dateRange, monthName, percent } from '../format';
import { words } from '../words';
import { direction } from './usage';

type Period = NonNullable<DashboardQuery['thisMonth']>;

/** A month is worth a sentence from so many days on; before, the week is. */
const DAYS = 8;
/** What differs by less is the same. */
const LEVEL = 0.005;

/** `recordedFrom` is the day of the first door code ever. */
export function show(thisMonth: Period, thisWeek: Period, recordedFrom: string | null | undefined): void {
  const said = words.verdict;
  const isMonth = Number(thisMonth.to?.slice(8)) >= DAYS;
  const { from, previous } = isMonth ? thisMonth : thisWeek;
  const [now, then] = [previous.current.totals.visits, previous.totals.visits];
  const { subject, during } = isMonth ? said.month(monthName(from!)) : said.week;
  const soFar = said.soFar(now, count(now), during);
  const isRecorded = !!recordedFrom && recordedFrom <= previous.from;
  const ratio = isRecorded && now >= SMALL && then >= SMALL ? now / then - 1 : null;
  const element = byId('verdict');
  element.className = `verdict ${direction(ratio ?? (isRecorded ? now - then : 0))}`;
  const headline = ratio === null ? (isRecorded ? said.before(soFar, count(then)) : soFar) : inWords(ratio, subject);
  const days = previous.from === previous.to ? date(previous.from) : dateRange(previous.from, previous.to);
  const sentence = isRecorded ? said.compared(soFar, count(then), days) : recordedFrom ? said.recordedSince(date(recordedFrom)) : said.noCodes;
  element.replaceChildren(h('h2', { id: 'verdict-title' }, headline), h('p', {}, sentence));
}

/** While there is nothing to compare. */
export function unknown(): void {
  byId('verdict').replaceChildren(h('h2', { id: 'verdict-title' }, words.verdict.unknown), h('p', {}, words.verdict.unknownNote));
}

function inWords(ratio: number, subject: string): string {
  const said = words.verdict;
  const part = percent(Math.abs(ratio));
  return Math.abs(ratio) < LEVEL ? said.same(subject) : ratio > 0 ? said.busier(subject, part) : said.quieter(subject, part);
}
