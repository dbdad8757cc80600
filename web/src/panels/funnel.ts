// What became of the codes that were issued.
import type { DashboardQuery } from '../documents';
import { fill, h, styled } from '../dom';
import { count, duration, percent } from '../format';
import { cell, type Sheet } from '../sheet';
import { words } from '../words';
import { Panel } from './panel';

type Funnel = NonNullable<DashboardQuery['tokenFunnel']>;

let shown: Funnel | undefined;
export const panel = new Panel('funnel', sheet);

export function show(funnel: Funnel): void {
  shown = funnel;
  const { issued, used, unused, timeToUse } = funnel;
  if (!issued) {
    fill(panel.body, h('p', { class: 'empty' }, words.funnel.empty));
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
    [words.funnel.median, timeToUse.median],
    [words.funnel.p90, timeToUse.p90],
    [words.funnel.p99, timeToUse.p99],
  ];
  fill(
    panel.body,
    h(
      'table',
      { class: 'funnel' },
      h('caption', { class: 'unseen' }, words.funnel.caption),
      h('thead', { class: 'unseen' }, h('tr', {}, ...[words.funnel.codes, words.funnel.number, words.funnel.part].map((name) => h('th', { scope: 'col' }, name)), h('td', { 'aria-hidden': 'true' }))),
      h('tbody', {}, bar(words.funnel.issued, issued, 'whole'), bar(words.funnel.used, used, 'used'), bar(words.funnel.unused, unused, 'unused')),
    ),
    h('dl', {}, ...waits.map(([name, seconds]) => h('div', {}, h('dt', {}, name), h('dd', {}, duration(seconds))))),
  );
}

function sheet(): Sheet {
  const { issued, used, unused, timeToUse } = shown ?? {};
  const said = words.funnel;
  const values: [string, number | null | undefined][] = [
    [said.issued, issued],
    [said.used, used],
    [said.unused, unused],
    [said.seconds(said.median), timeToUse?.median],
    [said.seconds(said.p90), timeToUse?.p90],
    [said.seconds(said.p99), timeToUse?.p99],
  ];
  return {
    caption: words.page.funnel,
    columns: [said.measure, said.value],
    rows: values.map(([name, value]) => [cell(name), cell(count(value), value ?? null)]),
  };
}
