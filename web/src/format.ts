// Numbers and dates, as the page's language writes them, in the chosen zone.
import type { Granularity, Weekday } from './documents';
import { firstDay, locale, words } from './words';

const whole = new Intl.NumberFormat(locale);
const one = new Intl.NumberFormat(locale, { maximumFractionDigits: 1 });
const short = new Intl.NumberFormat(locale, { notation: 'compact', maximumFractionDigits: 1 });
const percents = new Intl.NumberFormat(locale, { style: 'percent', maximumFractionDigits: 1 });
const wholePercents = new Intl.NumberFormat(locale, { style: 'percent', maximumFractionDigits: 0 });
const signed = new Intl.NumberFormat(locale, { style: 'percent', maximumFractionDigits: 1, signDisplay: 'exceptZero' });

/** Below so many on either side, numbers say more than a percentage. */
export const SMALL = 20;

export const NONE = '–';
type Maybe = number | null | undefined;
const or = (format: (value: number) => string) => (value: Maybe) => (value === null || value === undefined ? NONE : format(value));

export const count = or((value) => whole.format(value));
export const decimal = or((value) => one.format(value));
export const small = or((value) => new Intl.NumberFormat(locale, { maximumSignificantDigits: 1 }).format(value));
export const compact = or((value) => short.format(value));
export const percent = or((value) => percents.format(value));
export const roundPercent = or((value) => wholePercents.format(value));
export const change = or((value) => signed.format(value));
export const difference = or((value) => new Intl.NumberFormat(locale, { signDisplay: 'exceptZero', maximumFractionDigits: 1 }).format(value));

const LENGTHS: [Intl.RelativeTimeFormatUnit, number][] = [['day', 86_400], ['hour', 3_600], ['minute', 60], ['second', 1]];

/** A length of time, in its largest unit that fits. */
export const duration = or((seconds) => {
  const [unit, length] = LENGTHS.find(([, length]) => seconds >= length) ?? ['second' as const, 1];
  return new Intl.NumberFormat(locale, { style: 'unit', unit, unitDisplay: 'short', maximumFractionDigits: seconds < 60 ? 0 : 1 }).format(seconds / length);
});

const dates = new Map<string, Intl.DateTimeFormat>();

function dateFormat(options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = JSON.stringify(options);
  let format = dates.get(key);
  if (!format) dates.set(key, (format = new Intl.DateTimeFormat(locale, { calendar: 'gregory', ...options })));
  return format;
}

/** An instant, as the local calendar of a zone says it. */
export const instant = (at: number | string, timeZone: string, options: Intl.DateTimeFormatOptions) =>
  dateFormat({ timeZone, ...options }).format(typeof at === 'string' ? Date.parse(at) : at);

/** A local date, `YYYY-MM-DD`, which has no zone any more. */
export const date = (text: string, options: Intl.DateTimeFormatOptions = { day: 'numeric', month: 'short', year: 'numeric' }) =>
  dateFormat({ timeZone: 'UTC', ...options }).format(Date.parse(`${text}T00:00:00Z`));

/** A range of local dates. */
export const dateRange = (from: string, to: string) =>
  dateFormat({ timeZone: 'UTC', day: 'numeric', month: 'short', year: 'numeric' }).formatRange(Date.parse(`${from}T00:00:00Z`), Date.parse(`${to}T00:00:00Z`));

export const monthName = (text: string) => date(text, { month: 'long' });

/** What a bucket is called in full. */
export function bucketName(millis: number, granularity: Granularity, zone: string): string {
  const day = { day: 'numeric', month: 'short', year: 'numeric' } as const;
  switch (granularity) {
    case 'HOUR':
      return instant(millis, zone, { weekday: 'short', day: 'numeric', month: 'short', hour: 'numeric', minute: '2-digit', timeZoneName: 'short' });
    case 'DAY':
      return instant(millis, zone, { weekday: 'short', ...day });
    case 'WEEK':
      return words.week(instant(millis, zone, day));
    case 'MONTH':
      return instant(millis, zone, { month: 'long', year: 'numeric' });
    case 'QUARTER':
      return words.quarter(Math.ceil(local(millis, zone).month / 3), instant(millis, zone, { year: 'numeric' }));
    case 'YEAR':
      return instant(millis, zone, { year: 'numeric' });
  }
}

/** What a bucket is called below an axis. */
export function tickName(millis: number, granularity: Granularity, zone: string): string {
  switch (granularity) {
    case 'HOUR': {
      const isMidnight = local(millis, zone).hour === 0;
      return instant(millis, zone, isMidnight ? { day: 'numeric', month: 'short' } : { hour: 'numeric', minute: '2-digit' });
    }
    case 'DAY':
    case 'WEEK':
      return instant(millis, zone, { day: 'numeric', month: 'short' });
    case 'MONTH':
      return instant(millis, zone, { month: 'short', year: '2-digit' });
    default:
      return bucketName(millis, granularity, zone);
  }
}

/** The local calendar's fields of an instant; Monday is 0. */
export function local(millis: number, timeZone: string): { year: number; month: number; day: number; hour: number; weekday: number } {
  const options = { timeZone, calendar: 'iso8601', numberingSystem: 'latn', hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric' } as const;
  const key = `fields ${timeZone}`;
  let format = dates.get(key);
  if (!format) dates.set(key, (format = new Intl.DateTimeFormat('en-GB', options)));
  const found = Object.fromEntries(format.formatToParts(millis).map(({ type, value }) => [type, Number(value)]));
  const { year = 0, month = 0, day = 0, hour = 0 } = found;
  return { year, month, day, hour, weekday: (new Date(Date.UTC(year, month - 1, day)).getUTCDay() + 6) % 7 };
}

const two = (number: number) => String(number).padStart(2, '0');

/** The local date of an instant, `YYYY-MM-DD`. */
export function localDate(millis: number, zone: string): string {
  const { year, month, day } = local(millis, zone);
  return `${String(year).padStart(4, '0')}-${two(month)}-${two(day)}`;
}

/** What a bucket is called in files: its first local date; of an hour, the local time with its distance from UTC. */
export function bucketValue(millis: number, granularity: Granularity, zone: string): string {
  const start = localDate(millis, zone);
  if (granularity !== 'HOUR') return start;
  const clock = { timeZone: zone, numberingSystem: 'latn', hourCycle: 'h23', hour: '2-digit', minute: '2-digit', timeZoneName: 'longOffset' } as const;
  const parts = new Map(new Intl.DateTimeFormat('en-GB', clock).formatToParts(millis).map(({ type, value }) => [type, value]));
  return `${start}T${parts.get('hour')}:${parts.get('minute')}${parts.get('timeZoneName')!.replace('GMT', '') || 'Z'}`;
}

export const WEEKDAYS: Weekday[] = ['MONDAY', 'TUESDAY', 'WEDNESDAY', 'THURSDAY', 'FRIDAY', 'SATURDAY', 'SUNDAY'];

/** The day of the week of a local date. */
export const weekdayOf = (text: string): Weekday => WEEKDAYS[(new Date(`${text}T00:00:00Z`).getUTCDay() + 6) % 7]!;

/** 2024 began on a Monday. */
export const weekdayName = (weekday: Weekday, length: 'short' | 'long' = 'short') =>
  date(`2024-01-0${WEEKDAYS.indexOf(weekday) + 1}`, { weekday: length });

export const hourName = (hour: number, length: 'short' | 'full' = 'short') =>
  dateFormat({ timeZone: 'UTC', hour: 'numeric', ...(length === 'full' ? { minute: '2-digit' } : {}) }).format(Date.UTC(2024, 0, 1, hour));

/** The day on which the reader's weeks begin. */
export const WEEK_START = WEEKDAYS[firstDay]!;

/** The days of the week from this one on. */
export const weekdays = (start: Weekday): Weekday[] => [...WEEKDAYS.slice(WEEKDAYS.indexOf(start)), ...WEEKDAYS.slice(0, WEEKDAYS.indexOf(start))];
