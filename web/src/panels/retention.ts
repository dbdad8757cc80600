// Cohorts: of those who joined in a month, how many came in each month after.
import type { DashboardQuery } from '../documents';
import { fill, h, heatCell } from '../dom';
import { count, date, percent, roundPercent } from '../format';
import { cell, type Sheet, yesNo } from '../sheet';
import { words } from '../words';
import { Panel } from './panel';

type Cohorts = NonNullable<DashboardQuery['retention']>;

let shown: Cohorts = [];
export const panel = new Panel('retention', sheet);

const month = (start: string) => date(start, { month: 'short', year: 'numeric' });

export function show(cohorts: Cohorts): void {
  shown = cohorts;
  if (!cohorts.length) {
    fill(panel.body, h('p', { class: 'empty' }, words.retention.empty));
    return;
  }
  const columns = Array.from({ length: Math.max(...cohorts.map(({ periods }) => periods.length)) }, (_, index) => index);
  fill(
    panel.body,
    h(
      'div',
      { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': words.chart.theTable(words.retention.name) },
      h(
        'table',
        { class: 'heat cohorts' },
        h('caption', { class: 'unseen' }, words.retention.caption),
        h(
          'thead',
          {},
          h('tr', {}, h('th', { scope: 'col' }, words.retention.joined), h('th', { scope: 'col' }, words.retention.members), ...columns.map((index) => h('th', { scope: 'col', 'aria-label': words.retention.after(index) }, index))),
        ),
        h(
          'tbody',
          {},
          ...cohorts.map(({ start, members, periods }) =>
            h(
              'tr',
              {},
              h('th', { scope: 'row' }, month(start)),
              h('td', { class: 'members' }, count(members)),
              ...periods.map(({ active, rate, isPartial }, index) => {
                // Not begun yet: there is nothing to say.
                if (active === null || active === undefined) return h('td', { class: 'future' });
                const title = words.retention.cell(month(start), words.retention.after(index), count(active), count(members), percent(rate));
                return heatCell(rate ?? 0, { title: isPartial ? words.retention.incomplete(title) : title }, roundPercent(rate), isPartial ? 'partial' : '');
              }),
            ),
          ),
        ),
      ),
    ),
  );
}

function sheet(): Sheet {
  const said = words.retention;
  return {
    caption: words.page.retention,
    columns: [said.joined, said.members, said.months, said.active, said.rate, said.partial],
    rows: shown.flatMap(({ start, members, periods }) =>
      periods.flatMap(({ active, rate, isPartial }, index) =>
        active === null || active === undefined
          ? []
          : [[cell(start), cell(count(members), members), cell(String(index), index), cell(count(active), active), cell(percent(rate), rate ?? null), yesNo(isPartial)]],
      ),
    ),
  };
}
