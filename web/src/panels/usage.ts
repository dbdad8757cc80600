// Visits over time, the period before behind them; and their totals.
import { Chart, type Series } from '../chart';
import type { DashboardQuery, Granularity } from '../documents';
import { byId, h } from '../dom';
import { NONE, SMALL, bucketName, bucketValue, change, count, date, dateRange, decimal, difference, localDate, percent, tickName } from '../format';
import { ofBuckets, withNotes } from '../notes';
import { cell, type Sheet, yesNo } from '../sheet';
import { AVERAGE_OVER, type View, daysBetween, granularityOf, lastOf, today } from '../view';
import { words } from '../words';
import { Panel } from './panel';
import { tickLevels } from './ticks';

export type Usage = NonNullable<DashboardQuery['usage']>;

let shown: { usage: Usage; view: View } | undefined;
const panel = new Panel('usage', sheet);
const chart = new Chart(panel.body, words.page.usage, sheet, { clientWidth: 680, clientHeight: 170 });

export { panel };

/** `recordedFrom` is the day of the first door code ever. */
export function show(usage: Usage, view: View, recordedFrom: string | null): void {
  shown = { usage, view };
  const { zone, measure, compare } = view;
  const granularity = granularityOf(view);
  const { buckets, previous, totals } = usage;
  const starts = startsOf(usage);
  const before = previous.from === previous.to ? date(previous.from) : dateRange(previous.from, previous.to);
  panel.note(measure === 'MEMBERS' ? words.usage.membersNote(granularity) : isRecorded(usage, recordedFrom) ? words.usage.note[compare](granularity, before) : words.usage.noteAlone[compare](granularity));
  const isPartial = buckets.map((bucket) => bucket.isPartial);
  // Before the first door code ever, nothing is known.
  const known = starts.map((start) => !recordedFrom || lastOf(localDate(start, zone), granularity) >= recordedFrom);
  chart.show({
    names: starts.map((start) => bucketName(start, granularity, zone)),
    ticks: starts.map((start) => tickName(start, granularity, zone)),
    tickLevels: tickLevels(starts, granularity, zone),
    isPartial,
    parts: partsOf(usage, granularity, zone),
    noted: ofBuckets(starts, granularity, zone),
    empty: totals.visits || previous.totals.visits ? null : words.usage.empty,
    series: measure === 'MEMBERS' ? ofMembers(usage) : [
      { name: words.comparisons[compare], color: 'before', kind: 'behind', values: previous.buckets.map(({ visits }) => visits ?? null), times: thenNames(usage, granularity, zone), format: count },
      { name: words.usage.visits, color: 'accent', kind: 'bars', values: buckets.map(({ startMillis, visits }, index) => (startMillis > Date.now() || !known[index] ? visits || null : (visits ?? null))), format: count },
      {
        name: words.usage.average(granularity, AVERAGE_OVER[granularity]),
        color: 'average',
        kind: 'line',
        values: buckets.map(({ rollingAverage }, index) => (known[index] ? (rollingAverage ?? null) : null)),
        format: decimal,
      },
    ],
  });
  showTotals(usage, before, zone, recordedFrom);
}

const startsOf = ({ buckets }: Usage) => buckets.map(({ startMillis }) => startMillis);

/** Of buckets longer than days that are cut or not over: how many of their days there are. */
function partsOf({ from, to, buckets }: Usage, granularity: Granularity, zone: string): (string | null)[] {
  const now = today(zone);
  return buckets.map(({ startMillis, isPartial }) => {
    if (!isPartial || !from || !to || granularity === 'HOUR' || granularity === 'DAY') return null;
    const start = localDate(startMillis, zone);
    const end = lastOf(start, granularity);
    const [first] = [start, from].sort().slice(-1) as [string];
    const [last] = [end, to, now].sort() as [string];
    return words.chart.days(Math.max(daysBetween(first, last), 0), daysBetween(start, end));
  });
}

/** What there is to say of a range that is not over, and of one that ends before today. */
function duration({ from, to }: Usage, zone: string): string {
  const now = today(zone);
  if (!from || !to || to === now) return words.usage.underWay;
  return to < now ? words.usage.withoutToday : words.usage.toCome(from > now ? daysBetween(from, to) : daysBetween(now, to) - 1, daysBetween(from, to));
}

/** New members stand on those who had come before. */
const ofMembers = ({ buckets }: Usage): Series[] => [
  {
    name: words.usage.newMembers,
    color: 'average',
    kind: 'bars',
    values: buckets.map(({ newVisitors }) => newVisitors ?? null),
    heights: buckets.map(({ uniqueVisitors }) => uniqueVisitors ?? null),
    format: count,
  },
  { name: words.usage.returning, color: 'accent', kind: 'bars', values: buckets.map(({ returningVisitors }) => returningVisitors ?? null), format: count },
];

/** Whether the period before was recorded from its beginning. */
export const isRecorded = ({ previous }: Usage, recordedFrom: string | null) => recordedFrom !== null && recordedFrom <= previous.from;

/** What the counterparts of the buckets are called. */
const thenNames = ({ previous }: Usage, granularity: Granularity, zone: string) =>
  previous.buckets.map(({ startMillis }) => (startMillis === null || startMillis === undefined ? null : bucketName(startMillis, granularity, zone)));

type Tile = { name: string; total: string; ratio: number | null; text: string };

/** A number beside the one before: a percentage, or the difference where one of both is so small that it says more. */
function countTile(measure: 'visits' | 'uniqueVisitors' | 'tokensIssued', name: string, { totals, previous }: Usage): Tile {
  const [then, more, share] = [previous.totals[measure], previous.change[measure] ?? 0, previous.changeRatio[measure] ?? null];
  const isSmall = Math.min(then, then + more) < SMALL;
  return { name, total: count(totals[measure]), ratio: isSmall ? more : share, text: words.usage.from(isSmall ? difference(more) : change(share), count(then)) };
}

function showTotals(usage: Usage, before: string, zone: string, recordedFrom: string | null): void {
  const { totals, previous } = usage;
  const isCompared = isRecorded(usage, recordedFrom);
  const points = previous.change.conversionRate ?? null;
  const tiles: Tile[] = [
    countTile('visits', words.usage.visits, usage),
    countTile('uniqueVisitors', words.usage.members, usage),
    countTile('tokensIssued', words.usage.issued, usage),
    {
      name: words.usage.conversion,
      total: percent(totals.conversionRate),
      ratio: points,
      text: points === null ? words.usage.nothing : words.usage.points(difference(100 * points), percent(previous.totals.conversionRate)),
    },
  ];
  byId('totals').replaceChildren(
    ...tiles.map(({ name, total, ratio, text }) =>
      h('div', { class: 'tile' }, h('h3', {}, name), h('p', { class: 'number' }, total), isCompared ? h('p', { class: `change ${direction(ratio)}` }, text) : ''),
    ),
    h('p', { class: 'note' }, [isCompared ? words.usage.compared(before) : recordedFrom ? words.usage.recordedSince(date(recordedFrom), before) : '', duration(usage, zone)].filter(Boolean).join(' ')),
  );
}

export const direction = (ratio: number | null | undefined) => (!ratio ? 'level' : ratio > 0 ? 'up' : 'down');

function sheet(): Sheet {
  const said = words.usage;
  if (!shown) return { caption: words.page.usage, columns: [], rows: [] };
  const { usage, view } = shown;
  const { zone } = view;
  const granularity = granularityOf(view);
  const isOfMembers = view.measure === 'MEMBERS';
  const table = {
    caption: words.page.usage,
    columns: [said.unit(granularity), said.visits, said.issued, said.average(granularity, AVERAGE_OVER[granularity]), words.comparisons[view.compare], said.then, said.incomplete, ...(isOfMembers ? [said.newMembers, said.returning] : [])],
    rows: usage.buckets.map(({ startMillis, visits, tokensIssued, newVisitors, returningVisitors, rollingAverage, isPartial }, index) => {
      const before = usage.previous.buckets[index];
      const then = before?.startMillis;
      return [
        cell(bucketName(startMillis, granularity, zone), bucketValue(startMillis, granularity, zone)),
        cell(count(visits), visits ?? null),
        cell(count(tokensIssued), tokensIssued ?? null),
        cell(decimal(rollingAverage), rollingAverage ?? null),
        then === null || then === undefined ? cell(NONE, null) : cell(bucketName(then, granularity, zone), bucketValue(then, granularity, zone)),
        cell(count(before?.visits), before?.visits ?? null),
        yesNo(isPartial),
        ...(isOfMembers ? [newVisitors, returningVisitors].map((value) => cell(count(value), value ?? null)) : []),
      ];
    }),
  };
  return withNotes(table, ofBuckets(startsOf(usage), granularity, zone));
}
