// Members who came on a day, in its week, in its month.
import { Chart } from '../chart';
import type { DashboardQuery } from '../documents';
import { bucketName, count, localDate, tickName } from '../format';
import { cell, type Sheet } from '../sheet';
import { Panel } from './panel';
import { tickLevels } from './ticks';

type Days = NonNullable<DashboardQuery['activeUsers']>;

let shown: { days: Days; zone: string } | undefined;
export const panel = new Panel('active', sheet);
const chart = new Chart(panel.body, 'Active members', sheet, { clientWidth: 390, clientHeight: 135 });

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
    empty: days.some(({ monthly }) => monthly > 0) ? null : 'Nobody came in this range, nor in the 30 days before.',
    series: [
      line('Monthly', 'third', days.map(({ monthly }) => monthly)),
      line('Weekly', 'average', days.map(({ weekly }) => weekly)),
      line('Daily', 'accent', days.map(({ daily }) => daily)),
    ],
  });
}

function sheet(): Sheet {
  const { days = [], zone = 'UTC' } = shown ?? {};
  return {
    caption: 'Active members',
    columns: ['Day', 'Daily', 'Weekly', 'Monthly', 'Incomplete'],
    rows: days.map(({ startsAtMillis, daily, weekly, monthly, isPartial }) => [
      cell(bucketName(startsAtMillis, 'DAY', zone), localDate(startsAtMillis, zone)),
      cell(count(daily), daily),
      cell(count(weekly), weekly),
      cell(count(monthly), monthly),
      cell(isPartial ? 'yes' : 'no', isPartial),
    ]),
  };
}
