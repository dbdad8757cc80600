// Visits by day of the week and hour.
import type { DashboardQuery, Weekday } from '../documents';
import { fill, h, heatCell } from '../dom';
import { count, date, decimal, hourName, percent, small, weekdayName, weekdays } from '../format';
import { cell, type Sheet } from '../sheet';
import { words } from '../words';
import { Panel } from './panel';

type Heatmap = NonNullable<DashboardQuery['heatmap']>;

let shown: Heatmap | undefined;
export const panel = new Panel('heatmap', sheet);

export function show(heatmap: Heatmap, weekStart: Weekday): void {
  shown = heatmap;
  const most = Math.max(...heatmap.cells.map(({ average }) => average ?? 0));
  const peak = heatmap.cells.find(({ average }) => average === most);
  panel.note(
    heatmap.visits && peak
      ? [words.heatmap.busiest(weekdayName(peak.weekday, 'long'), hourName(peak.hour, 'full'), rounded(peak.average), date(later(heatmap))), ofDesks(peak.average ?? 0)].join(' ').trim()
      : words.heatmap.empty,
  );
  const hours = Array.from({ length: 24 }, (_, hour) => hour);
  const rows = weekdays(weekStart).map((weekday) => {
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

const capacity = Number(document.documentElement.dataset.capacity ?? 0);

/** Which part of the desks the arrivals of an hour would take. Who left is not known. */
const ofDesks = (arrivals: number) => (capacity ? words.heatmap.desks(rounded(arrivals), percent(arrivals / capacity), count(capacity)) : '');

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
