// Growth and churn: who joined, came first, came again and stopped, by month.
import { Chart } from '../chart';
import type { DashboardQuery } from '../documents';
import { bucketName, bucketValue, count, tickName } from '../format';
import { cell, type Sheet, yesNo } from '../sheet';
import { words } from '../words';
import { Panel } from './panel';
import { tickLevels } from './ticks';

type Months = NonNullable<DashboardQuery['membership']>;

let shown: { months: Months; zone: string } = { months: [], zone: 'UTC' };
const said = words.growth;
export const panel = new Panel('growth', sheet);
const chart = new Chart(panel.body, words.page.growth, sheet, { clientWidth: 680, clientHeight: 120 });

export function show(months: Months, zone: string): void {
  shown = { months, zone };
  const starts = months.map(({ startMillis }) => startMillis);
  chart.show({
    names: starts.map((start) => bucketName(start, 'MONTH', zone)),
    ticks: starts.map((start) => tickName(start, 'MONTH', zone)),
    tickLevels: tickLevels(starts, 'MONTH', zone),
    isPartial: months.map(({ isPartial }) => isPartial),
    empty: months.some(({ joined, active, stopped }) => joined + active + stopped) ? null : said.empty,
    series: [
      { name: said.joined, color: 'accent', kind: 'bars', side: -1, values: months.map(({ joined }) => joined), format: count },
      { name: said.stopped, color: 'down', kind: 'bars', side: 1, values: months.map(({ stopped }) => stopped), format: count },
      { name: said.first, color: 'average', kind: 'line', values: months.map(({ firstVisits }) => firstVisits), format: count },
      // So many more that the others could not be told apart.
      { name: said.returning, color: 'third', kind: 'said', values: months.map(({ returning }) => returning), format: count },
    ],
  });
}

function sheet(): Sheet {
  const { months, zone } = shown;
  return {
    caption: words.page.growth,
    columns: [words.granularities.MONTH, said.joined, said.first, said.returning, said.stopped, said.incomplete],
    rows: months.map(({ startMillis, joined, firstVisits, returning, stopped, isPartial }) => [
      cell(bucketName(startMillis, 'MONTH', zone), bucketValue(startMillis, 'MONTH', zone)),
      ...[joined, firstVisits, returning, stopped].map((value) => cell(count(value), value)),
      yesNo(isPartial),
    ]),
  };
}
