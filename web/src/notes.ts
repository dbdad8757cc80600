// The space's notes on dates, beside the charts.
import type { DashboardQuery, Granularity } from './documents';
import { date, dateRange, localDate } from './format';
import { type Sheet, cell } from './sheet';
import { lastOf } from './view';
import { words } from './words';

type Note = NonNullable<DashboardQuery['notes']>[number];

let notes: Note[] = [];

export const keep = (found: Note[]): void => void (notes = found);
export const all = (): Note[] => notes;

/** What is noted on the days from one to another, both included. */
const between = (from: string, to: string) => notes.filter((note) => note.from <= to && note.to >= from);

/** A note in full, as in lists. */
const inFull = ({ from, to, text }: Note) => words.chart.noted(from === to ? date(from) : dateRange(from, to), text);

/** What is noted on a day; nothing for most. */
export const onDay = (day: string): string => between(day, day).map(({ text }) => text).join(', ');

export interface Noted {
  /** For each bucket, what is noted on days of it; empty for most. */
  marks: string[];
  /** All of these notes, each with its dates. */
  list: string[];
}

/** The notes on buckets; those that are longer than a day say on which. */
export function ofBuckets(starts: number[], granularity: Granularity, zone: string): Noted {
  const days = starts.map((start): [string, string] => {
    const first = localDate(start, zone);
    return [first, granularity === 'HOUR' ? first : lastOf(first, granularity)];
  });
  const isOfDays = granularity === 'HOUR' || granularity === 'DAY';
  const [first, last] = [days[0], days.at(-1)];
  return {
    marks: days.map(([from, to]) => (isOfDays ? onDay(from) : between(from, to).map(inFull).join(', '))),
    list: first && last ? between(first[0], last[1]).map(inFull) : [],
  };
}

/** The table with a column of notes, where there are some. */
export const withNotes = (sheet: Sheet, { marks }: Noted): Sheet =>
  marks.some(Boolean) ? { ...sheet, columns: [...sheet.columns, words.chart.note], rows: sheet.rows.map((row, index) => [...row, cell(marks[index] ?? '')]) } : sheet;
