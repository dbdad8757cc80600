// Visits over time, the period before behind them; and their totals.
import { Chart } from '../chart';
import type { DashboardQuery, Granularity } from '../documents';
import { byId, h } from '../dom';
import { NONE, bucketName, bucketValue, change, count, date, dateRange, decimal, percent, tickName } from '../format';
import { cell, type Sheet } from '../sheet';
import { AVERAGE_OVER, today } from '../view';
import { Panel } from './panel';
import { tickLevels } from './ticks';

export type Usage = NonNullable<DashboardQuery['usage']>;

const UNITS: Record<Granularity, string> = { HOUR: 'hour', DAY: 'day', WEEK: 'week', MONTH: 'month', QUARTER: 'quarter', YEAR: 'year' };

let shown: { usage: Usage; granularity: Granularity; zone: string } | undefined;
const panel = new Panel('usage', sheet);
const chart = new Chart(panel.body, 'Visits over time', sheet, { clientWidth: 680, clientHeight: 170 });

export { panel };

export function show(usage: Usage, granularity: Granularity, zone: string): void {
  shown = { usage, granularity, zone };
  const { buckets, previous, totals } = usage;
  const before = previous.from === previous.to ? date(previous.from) : dateRange(previous.from, previous.to);
  panel.note(`Each ${UNITS[granularity]}, and the same ${UNITS[granularity]} of the period before: ${before}.`);
  const isPartial = buckets.map((bucket) => bucket.isPartial);
  chart.show({
    names: buckets.map(({ startMillis }) => bucketName(startMillis, granularity, zone)),
    ticks: buckets.map(({ startMillis }) => tickName(startMillis, granularity, zone)),
    tickLevels: tickLevels(buckets.map(({ startMillis }) => startMillis), granularity, zone),
    isPartial,
    empty: totals.visits || previous.totals.visits ? null : 'No visits in this range, and none in the one before.',
    series: [
      { name: 'Period before', color: 'before', kind: 'behind', values: previous.buckets.map(({ visits }) => visits ?? null), format: count },
      { name: 'Visits', color: 'accent', kind: 'bars', values: buckets.map(({ visits }) => visits ?? null), format: count },
      {
        name: averageName(granularity),
        color: 'average',
        kind: 'line',
        values: buckets.map(({ rollingAverage }) => rollingAverage ?? null),
        format: decimal,
      },
    ],
  });
  showTotals(usage, before, (usage.to ?? '') >= today(zone));
}

const averageName = (granularity: Granularity) => `Average of ${AVERAGE_OVER[granularity]} ${UNITS[granularity]}s`;

function showTotals({ totals, previous }: Usage, before: string, isUnderWay: boolean): void {
  const { changeRatio } = previous;
  const points = previous.change.conversionRate;
  const tiles: [string, string, number | null | undefined, string, string][] = [
    ['Visits', count(totals.visits), changeRatio.visits, change(changeRatio.visits), count(previous.totals.visits)],
    ['Members who came', count(totals.uniqueVisitors), changeRatio.uniqueVisitors, change(changeRatio.uniqueVisitors), count(previous.totals.uniqueVisitors)],
    ['Door codes issued', count(totals.tokensIssued), changeRatio.tokensIssued, change(changeRatio.tokensIssued), count(previous.totals.tokensIssued)],
    [
      'Visits per door code',
      percent(totals.conversionRate),
      points,
      points === null || points === undefined ? NONE : `${change(points).replace('%', '')} points`,
      percent(previous.totals.conversionRate),
    ],
  ];
  byId('totals').replaceChildren(
    ...tiles.map(([name, total, ratio, text, previously]) =>
      h(
        'div',
        { class: 'tile' },
        h('h3', {}, name),
        h('p', { class: 'number' }, total),
        h('p', { class: `change ${direction(ratio)}` }, ratio === null || ratio === undefined ? 'nothing to compare with' : `${text} from ${previously}`),
      ),
    ),
    h('p', { class: 'note' }, `Compared with ${before}.${isUnderWay ? ' This range is not over: its last hours are still to come.' : ''}`),
  );
}

export const direction = (ratio: number | null | undefined) => (!ratio ? 'level' : ratio > 0 ? 'up' : 'down');

function sheet(): Sheet {
  const { usage, granularity, zone } = shown ?? {};
  if (!usage || !granularity || !zone) return { caption: 'Visits over time', columns: [], rows: [] };
  return {
    caption: 'Visits over time',
    columns: [UNITS[granularity], 'Visits', 'Door codes issued', averageName(granularity), 'Period before', 'Visits then', 'Incomplete'],
    rows: usage.buckets.map(({ startMillis, visits, tokensIssued, rollingAverage, isPartial }, index) => {
      const before = usage.previous.buckets[index];
      const then = before?.startMillis;
      return [
        cell(bucketName(startMillis, granularity, zone), bucketValue(startMillis, granularity, zone)),
        cell(count(visits), visits ?? null),
        cell(count(tokensIssued), tokensIssued ?? null),
        cell(decimal(rollingAverage), rollingAverage ?? null),
        then === null || then === undefined ? cell(NONE, null) : cell(bucketName(then, granularity, zone), bucketValue(then, granularity, zone)),
        cell(count(before?.visits), before?.visits ?? null),
        cell(isPartial ? 'yes' : 'no', isPartial),
      ];
    }),
  };
}
