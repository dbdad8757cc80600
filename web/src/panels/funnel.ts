// What became of the codes that were issued.
import type { DashboardQuery } from '../documents';
import { fill, h, styled } from '../dom';
import { count, duration, percent } from '../format';
import { cell, type Sheet } from '../sheet';
import { Panel } from './panel';

type Funnel = NonNullable<DashboardQuery['tokenFunnel']>;

let shown: Funnel | undefined;
export const panel = new Panel('funnel', sheet);

export function show(funnel: Funnel): void {
  shown = funnel;
  const { issued, used, unused, timeToUse } = funnel;
  if (!issued) {
    fill(panel.body, h('p', { class: 'empty' }, 'No door codes were issued in this range.'));
    return;
  }
  const bar = (name: string, value: number, kind: string) =>
    h(
      'tr',
      {},
      h('th', { scope: 'row' }, name),
      h('td', { class: 'number' }, count(value)),
      h('td', { class: 'number' }, percent(value / issued)),
      h('td', { class: 'bar', 'aria-hidden': 'true' }, styled(h('div', { class: kind }), '--part', value / issued)),
    );
  const waits: [string, number | null | undefined][] = [
    ['Half are used within', timeToUse.median],
    ['9 of 10 within', timeToUse.p90],
    ['99 of 100 within', timeToUse.p99],
  ];
  fill(
    panel.body,
    h(
      'table',
      { class: 'funnel' },
      h('caption', { class: 'unseen' }, 'Door codes issued, used and unused'),
      h('thead', { class: 'unseen' }, h('tr', {}, ...['Codes', 'Number', 'Part'].map((name) => h('th', { scope: 'col' }, name)), h('td', { 'aria-hidden': 'true' }))),
      h('tbody', {}, bar('Issued', issued, 'whole'), bar('Used', used, 'used'), bar('Unused', unused, 'unused')),
    ),
    h('dl', {}, ...waits.map(([name, seconds]) => h('div', {}, h('dt', {}, name), h('dd', {}, duration(seconds))))),
  );
}

function sheet(): Sheet {
  const { issued, used, unused, timeToUse } = shown ?? {};
  const values = { issued, used, unused, 'median seconds to use': timeToUse?.median, 'p90 seconds to use': timeToUse?.p90, 'p99 seconds to use': timeToUse?.p99 };
  return {
    caption: 'Door codes',
    columns: ['Measure', 'Value'],
    rows: Object.entries(values).map(([name, value]) => [cell(name), cell(count(value), value ?? null)]),
  };
}
