// Members who came on a day, in its week, in its month.
import { Chart } from '../chart';
import type { DashboardQuery } from '../documents';
import { bucketName, count, localDate, tickName } from '../format';
import { ofBuckets, withNotes } from '../notes';
import { cell, type Sheet, yesNo } from '../sheet';
import { words } from '../words';
import { Panel } from './panel';
import { tickLevels } from './ticks';

type Days = NonNullable<DashboardQuery['activeUsers']>;

let shown: { days: Days; zone: string } | undefined;
export const panel = new Panel('active', sheet);
const chart = new Chart(panel.body, words.page.active, sheet, { clientWidth: 390, clientHeight: 135 });

export function show(days: Days, zone: string): void {
  shown = { days, zone };
  const starts = days.map(({ startsAtMillis }) => startsAtMillis);
  const now = Date.now();
  // Days that have not begun have no line.
  const line = (name: string, color: string, values: number[]) => ({ name, color, kind: 'line' as const, values: values.map((value, index) => (starts[index]! > now ? null : value)), format: count });
  chart.show({
    names: starts.map((start) => bucketName(start, 'DAY', zone)),
    ticks: starts.map((start) => tickName(start, 'DAY', zone)),
    tickLevels: tickLevels(starts, 'DAY', zone),
    isPartial: days.map(({ isPartial }) => isPartial),
    noted: ofBuckets(starts, 'DAY', zone),
    empty: days.some(({ monthly }) => monthly > 0) ? null : words.active.empty,
    series: [
      line(words.active.monthly, 'third', days.map(({ monthly }) => monthly)),
      line(words.active.weekly, 'average', days.map(({ weekly }) => weekly)),
      line(words.active.daily, 'accent', days.map(({ daily }) => daily)),
    ],
  });
}

function sheet(): Sheet {
  const { days = [], zone = 'UTC' } = shown ?? {};
  const table = {
    caption: words.page.active,
    columns: [words.active.day, words.active.daily, words.active.weekly, words.active.monthly, words.active.incomplete],
    rows: days.map(({ startsAtMillis, daily, weekly, monthly, isPartial }) => [
      cell(bucketName(startsAtMillis, 'DAY', zone), localDate(startsAtMillis, zone)),
      cell(count(daily), daily),
      cell(count(weekly), weekly),
      cell(count(monthly), monthly),
      yesNo(isPartial),
    ]),
  };
  return withNotes(table, ofBuckets(days.map(({ startsAtMillis }) => startsAtMillis), 'DAY', zone));
}
