// Cohorts: of those who joined in a month, how many came in each month after.
import type { DashboardQuery } from '../documents';
import { fill, h, heatCell } from '../dom';
import { count, date, percent, roundPercent } from '../format';
import { cell, type Sheet } from '../sheet';
import { Panel } from './panel';

type Cohorts = NonNullable<DashboardQuery['retention']>;

let shown: Cohorts = [];
export const panel = new Panel('retention', sheet);

const month = (start: string) => date(start, { month: 'short', year: 'numeric' });

export function show(cohorts: Cohorts): void {
  shown = cohorts;
  if (!cohorts.length) {
    fill(panel.body, h('p', { class: 'empty' }, 'Nobody joined in this year.'));
    return;
  }
  const columns = Array.from({ length: Math.max(...cohorts.map(({ periods }) => periods.length)) }, (_, index) => index);
  fill(
    panel.body,
    h(
      'div',
      { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Cohorts, the table' },
      h(
        'table',
        { class: 'heat cohorts' },
        h('caption', { class: 'unseen' }, 'Members who came, by the month in which they joined and the months since'),
        h(
          'thead',
          {},
          h('tr', {}, h('th', { scope: 'col' }, 'Joined'), h('th', { scope: 'col' }, 'Members'), ...columns.map((index) => h('th', { scope: 'col', 'aria-label': `${index} months after` }, index))),
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
                const title = `${month(start)}, ${index} months after: ${count(active)} of ${count(members)} (${percent(rate)})${isPartial ? ', incomplete' : ''}`;
                return heatCell(rate ?? 0, { title }, roundPercent(rate), isPartial ? 'partial' : '');
              }),
            ),
          ),
        ),
      ),
    ),
  );
}

function sheet(): Sheet {
  return {
    caption: 'Who comes back',
    columns: ['Joined', 'Members', 'Months after', 'Active', 'Rate', 'Incomplete'],
    rows: shown.flatMap(({ start, members, periods }) =>
      periods.flatMap(({ active, rate, isPartial }, index) =>
        active === null || active === undefined
          ? []
          : [[cell(start), cell(count(members), members), cell(String(index), index), cell(count(active), active), cell(percent(rate), rate ?? null), cell(isPartial ? 'yes' : 'no', isPartial)]],
      ),
    ),
  };
}
