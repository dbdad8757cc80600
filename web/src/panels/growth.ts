// Growth and churn: who joined, came first, came again and stopped, by month.
import { Chart } from '../chart';
import type { DashboardQuery } from '../documents';
import { bucketName, bucketValue, count, localDate, tickName } from '../format';
import { ofBuckets, withNotes } from '../notes';
import { cell, type Sheet, yesNo } from '../sheet';
import { addDays, lastOf } from '../view';
import { words } from '../words';
import { Panel } from './panel';
import { tickLevels } from './ticks';

type Month = NonNullable<DashboardQuery['membership']>[number];
/** What is not known is null. */
interface Known extends Pick<Month, 'startMillis' | 'joined' | 'isPartial'> {
  first: number | null;
  returning: number | null;
  stopped: number | null;
}

/** Who did not come for so many days has stopped. */
const STOPPED_AFTER = 90;

let shown: { months: Known[]; zone: string } = { months: [], zone: 'UTC' };
const said = words.growth;
export const panel = new Panel('growth', sheet);
const chart = new Chart(panel.body, words.page.growth, sheet, { clientWidth: 680, clientHeight: 120 });

/** `recordedFrom` is the day of the first door code ever: nobody could come before it, nor stop until long after it. */
export function known({ startMillis, joined, firstVisits, returning, stopped, isPartial }: Month, zone: string, recordedFrom: string | null): Known {
  const end = lastOf(localDate(startMillis, zone), 'MONTH');
  const isKnown = recordedFrom !== null && end >= recordedFrom;
  const canStop = isKnown && end > addDays(recordedFrom, STOPPED_AFTER);
  return { startMillis, joined, isPartial, first: isKnown ? firstVisits : null, returning: isKnown ? returning : null, stopped: canStop ? stopped : null };
}

export function show(found: Month[], zone: string, recordedFrom: string | null): void {
  const months = found.map((month) => known(month, zone, recordedFrom));
  shown = { months, zone };
  const starts = months.map(({ startMillis }) => startMillis);
  chart.show({
    names: starts.map((start) => bucketName(start, 'MONTH', zone)),
    ticks: starts.map((start) => tickName(start, 'MONTH', zone)),
    tickLevels: tickLevels(starts, 'MONTH', zone),
    isPartial: months.map(({ isPartial }) => isPartial),
    noted: ofBuckets(starts, 'MONTH', zone),
    empty: found.some(({ joined, active, stopped }) => joined + active + stopped) ? null : said.empty,
    series: [
      { name: said.joined, color: 'accent', kind: 'bars', side: -1, values: months.map(({ joined }) => joined), format: count },
      { name: said.stopped, color: 'down', kind: 'bars', side: 1, values: months.map(({ stopped }) => stopped), format: count },
      { name: said.first, color: 'average', kind: 'line', values: months.map(({ first }) => first), format: count },
      // So many more that the others could not be told apart.
      { name: said.returning, color: 'third', kind: 'said', values: months.map(({ returning }) => returning), format: count },
    ],
  });
}

function sheet(): Sheet {
  const { months, zone } = shown;
  const table = {
    caption: words.page.growth,
    columns: [words.granularities.MONTH, said.joined, said.first, said.returning, said.stopped, said.incomplete],
    rows: months.map(({ startMillis, joined, first, returning, stopped, isPartial }) => [
      cell(bucketName(startMillis, 'MONTH', zone), bucketValue(startMillis, 'MONTH', zone)),
      ...[joined, first, returning, stopped].map((value) => cell(count(value), value)),
      yesNo(isPartial),
    ]),
  };
  return withNotes(table, ofBuckets(months.map(({ startMillis }) => startMillis), 'MONTH', zone));
}
