// Visits by day of the week and hour.
import type { DashboardQuery } from '../documents';
import { fill, h, heatCell } from '../dom';
import { bucketName, count, date, decimal, hourName, percent, small, weekdayName, weekdays } from '../format';
import { cell, type Sheet } from '../sheet';
import { capacity } from '../space';
import type { View } from '../view';
import { words } from '../words';
import { Panel } from './panel';

type Heatmap = NonNullable<DashboardQuery['heatmap']>;
type Busiest = NonNullable<NonNullable<DashboardQuery['hours']>['busiest']>;

let shown: Heatmap | undefined;
export const panel = new Panel('heatmap', sheet);

/** `busiest` is the single hour in which most came, where that is known. */
export function show(heatmap: Heatmap, { week, zone }: View, busiest: Busiest | null): void {
  shown = heatmap;
  const most = Math.max(...heatmap.cells.map(({ average }) => average ?? 0));
  const peak = heatmap.cells.find(({ average }) => average === most);
  panel.note(
    heatmap.visits && peak
      ? [words.heatmap.busiest(weekdayName(peak.weekday, 'long'), hourName(peak.hour, 'full'), rounded(peak.average), date(later(heatmap))), ...ofDesks(peak.average ?? 0, busiest, zone)].join(' ')
      : words.heatmap.empty,
  );
  const hours = Array.from({ length: 24 }, (_, hour) => hour);
  const rows = weekdays(week).map((weekday) => {
    const cells = heatmap.cells.filter((each) => each.weekday === weekday);
    return h(
      'tr',
      {},
      h('th', { scope: 'row' }, weekdayName(weekday)),
      ...cells.map(({ hour, average, visits }) => {
        const heat = most ? (average ?? 0) / most : 0;
        const title = words.heatmap.cell(weekdayName(weekday, 'long'), hourName(hour), rounded(average), count(visits));
        return heatCell(heat, { title }, rounded(average));
      }),
    );
  });
  const isFirst = !panel.body.firstElementChild;
  fill(
    panel.body,
    h(
      'div',
      { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': words.chart.theTable(words.heatmap.name) },
      h(
        'table',
        { class: 'heat' },
        h('caption', { class: 'unseen' }, words.heatmap.caption),
        h('thead', {}, h('tr', {}, h('td'), ...hours.map((hour) => h('th', { scope: 'col' }, hourName(hour))))),
        h('tbody', {}, ...rows),
      ),
    ),
  );
  if (isFirst && peak) scrollTo(peak.hour);
}

/** Which part of the desks the arrivals of the busiest hours would take. Who left is not known. */
function ofDesks(average: number, busiest: Busiest | null, zone: string): string[] {
  if (!capacity) return [];
  const said = words.heatmap;
  const most = busiest?.visits ?? 0;
  return [
    ...(busiest && most ? [said.most(most, count(most), percent(most / capacity), count(capacity), bucketName(busiest.startMillis, 'HOUR', zone))] : []),
    said.desks(rounded(average), percent(average / capacity), count(capacity)),
  ];
}

/** Averages are over recorded days of the range. */
const later = ({ from, recordedFrom }: Heatmap) => [from ?? '', recordedFrom ?? ''].sort()[1]!;

/** Where not all hours fit, as on a phone: those that are busy first. */
function scrollTo(hour: number): void {
  const [place] = panel.body.getElementsByClassName('scroll');
  const cell = place?.querySelectorAll<HTMLElement>('thead th')[hour];
  if (place && cell) place.scrollLeft += cell.getBoundingClientRect().left - place.getBoundingClientRect().left - place.clientWidth / 2;
}

/** Two digits have to do in a cell; what is less than a tenth needs another one to be told from nothing. */
const rounded = (average: number | null | undefined) => (!average ? count(0) : average < 0.95 ? small(average) : average < 9.95 ? decimal(average) : count(Math.round(average)));

function sheet(): Sheet {
  return {
    caption: words.heatmap.caption,
    columns: [words.heatmap.weekday, words.heatmap.hour, words.heatmap.visits, words.heatmap.average],
    rows: (shown?.cells ?? []).map(({ weekday, hour, visits, average }) => [cell(weekday), cell(String(hour), hour), cell(count(visits), visits), cell(decimal(average), average ?? null)]),
  };
}
