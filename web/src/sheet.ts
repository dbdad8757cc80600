// Tables of numbers: on the page, and as CSV.
import { h } from './dom';
import { words } from './words';

export interface Cell {
  text: string;
  /** What a program reads. */
  value: string | number | boolean | null;
}

export interface Sheet {
  caption: string;
  columns: string[];
  rows: Cell[][];
}

export const cell = (text: string, value: Cell['value'] = text): Cell => ({ text, value });
export const yesNo = (value: boolean): Cell => cell(value ? words.chart.yes : words.chart.no, value);

/** The table, its first column naming the rows. */
export function tableOf({ caption, columns, rows }: Sheet): HTMLTableElement {
  return h(
    'table',
    {},
    h('caption', { class: 'unseen' }, caption),
    h('thead', {}, h('tr', {}, ...columns.map((name) => h('th', { scope: 'col' }, name)))),
    h('tbody', {}, ...rows.map((row) => h('tr', {}, ...row.map(({ text }, index) => (index ? h('td', {}, text) : h('th', { scope: 'row' }, text)))))),
  );
}

/** CSV by RFC 4180; text that a spreadsheet would compute has an apostrophe before it, as in the gateway's own. */
export function csvOf({ columns, rows }: Sheet): string {
  const field = (value: Cell['value']) => {
    const text = typeof value === 'string' && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value ?? '');
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [columns, ...rows.map((row) => row.map(({ value }) => value))].map((row) => `${row.map(field).join(',')}\r\n`).join('');
}
