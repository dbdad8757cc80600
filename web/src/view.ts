// What is shown: all of it is in the address, so that a view can be shared and gone back to.
import type { DashboardQueryVariables, MembersQueryVariables, Granularity, MemberSegment, OrderDirection, RelativeRange, TimeBasis, UserVisitsOrderField, Weekday } from './documents';
import { WEEKDAYS, WEEK_START, localDate, weekdayOf } from './format';
import * as space from './space';
import { linked } from './words';

/** The page compares with the period before, so that it needs a beginning. */
export type PageRange = Exclude<RelativeRange, 'ALL'>;
export const RANGES: PageRange[] = [
  'TODAY',
  'YESTERDAY',
  'LAST_7_DAYS',
  'LAST_30_DAYS',
  'LAST_90_DAYS',
  'LAST_365_DAYS',
  'THIS_WEEK',
  'LAST_WEEK',
  'THIS_MONTH',
  'LAST_MONTH',
  'THIS_QUARTER',
  'LAST_QUARTER',
  'THIS_YEAR',
  'LAST_YEAR',
];
export const GRANULARITIES: Granularity[] = ['HOUR', 'DAY', 'WEEK', 'MONTH', 'QUARTER', 'YEAR'];
export const BASES: TimeBasis[] = ['USED_AT', 'ISSUED_AT'];
export const SEGMENTS: (MemberSegment | 'ALL')[] = ['ALL', 'NEW', 'ACTIVE', 'LAPSING', 'LAPSED', 'NEVER_CAME'];
export const ORDERS: UserVisitsOrderField[] = ['USER_ID', 'VISITS', 'TOKENS_ISSUED', 'JOINED_AT', 'FIRST_VISIT_AT', 'LAST_VISIT_AT'];

export const PAGE_SIZE = 15;

/** What the main chart can show. */
export const MEASURES = ['VISITS', 'MEMBERS'] as const;
export type Measure = (typeof MEASURES)[number];

/** What a range can be compared with: the period before it, or the same dates a year before. */
export const COMPARISONS = ['BEFORE', 'YEAR'] as const;
export type ComparedWith = (typeof COMPARISONS)[number];

export interface View {
  range: PageRange | 'CUSTOM';
  /** Local dates, both included; of a custom range. */
  from: string;
  to: string;
  /** The month, `YYYY-MM`, that has the page to itself; empty for the dashboard. */
  month: string;
  by: Granularity | 'AUTO';
  /** What the main chart shows: visits, or members who came for the first time beside those who had come before. */
  measure: Measure;
  compare: ComparedWith;
  basis: TimeBasis;
  zone: string;
  /** The day on which weeks begin. */
  week: Weekday;
  segment: MemberSegment | 'ALL';
  /** Whether members are listed whose membership has ended. */
  ended: boolean;
  /** The id of a member; 0 for all. */
  member: number;
  /** What names contain; empty for all. Names are personal, and links are passed on: it is not in the address. */
  name: string;
  sort: UserVisitsOrderField;
  direction: OrderDirection;
  /** Cursors, of which one at most is set. */
  after: string;
  before: string;
}

/** Names in places of the world, as they are written. */
const PLACE = /^(Africa|America|Antarctica|Asia|Atlantic|Australia|Europe|Indian|Pacific)(\/[A-Z](?![A-Z]{2})[\w-]+)+$/;

/** Whether the gateway knows the zone: the browser may know offsets and names in any case besides. */
function isZone(name: string): boolean {
  try {
    const known = new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone;
    // Browsers have other names for some places: Asia/Calcutta for Asia/Kolkata.
    return known.toLowerCase() === name.toLowerCase() ? known === name && /^[A-Z]/.test(name) : PLACE.test(name);
  } catch {
    return false;
  }
}

const browserZone = Intl.DateTimeFormat().resolvedOptions().timeZone;
/** Where the reader is; empty where the browser does not say: `Etc/Unknown` is no zone. */
export const readersZone = isZone(browserZone) ? browserZone : '';
/** The zone of a link that names none: the space's, or else the reader's; UTC where neither is known. */
export const ownZone = isZone(space.zone) ? space.zone : readersZone || 'UTC';

export const initial = (): View => ({
  range: 'LAST_30_DAYS',
  from: '',
  to: '',
  month: '',
  by: 'AUTO',
  measure: 'VISITS',
  compare: 'BEFORE',
  basis: space.basis,
  zone: ownZone,
  week: WEEK_START,
  segment: 'ALL',
  ended: false,
  member: 0,
  name: '',
  sort: 'LAST_VISIT_AT',
  direction: 'DESC',
  after: '',
  before: '',
});

const DAY = 86_400_000;
const iso = (millis: number) => new Date(millis).toISOString().slice(0, 10);
const isDate = (text: string) => /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(Date.parse(text)) && iso(Date.parse(text)) === text;
/** How many days there are from one date to another, both included. */
export const daysBetween = (from: string, to: string) => (Date.parse(to) - Date.parse(from)) / DAY + 1;
export const addDays = (date: string, days: number) => iso(Date.parse(date) + days * DAY);

const MONTHS: Partial<Record<Granularity, number>> = { MONTH: 1, QUARTER: 3, YEAR: 12 };

/** The last date of a bucket of whole days that begins with this one. */
export function lastOf(start: string, granularity: Granularity): string {
  const months = MONTHS[granularity];
  const [year, month] = [Number(start.slice(0, 4)), Number(start.slice(5, 7))];
  return months ? iso(Date.UTC(year, month - 1 + months, 0)) : addDays(start, granularity === 'WEEK' ? 6 : 0);
}

/** Today's local date. */
export const today = (zone: string) => localDate(Date.now(), zone);

/** The view of an address; what it says wrongly is as if it said nothing. */
export function read(search: string): View {
  const asked = new URLSearchParams(search);
  const view = initial();
  const oneOf = <Value extends string>(name: string, values: readonly Value[], otherwise: Value) =>
    values.find((value) => value === asked.get(name)) ?? otherwise;
  const [from, to] = [asked.get('from') ?? '', asked.get('to') ?? ''];
  if (isDate(from) && isDate(to) && from <= to) Object.assign(view, { range: 'CUSTOM', from, to });
  else view.range = oneOf<PageRange>('range', RANGES, 'LAST_30_DAYS');
  view.by = oneOf<View['by']>('by', GRANULARITIES, 'AUTO');
  view.measure = oneOf('measure', MEASURES, view.measure);
  view.compare = oneOf('compare', COMPARISONS, view.compare);
  view.basis = oneOf('basis', BASES, view.basis);
  const zone = asked.get('zone') ?? '';
  if (isZone(zone)) view.zone = zone;
  view.week = oneOf('week', WEEKDAYS, view.week);
  view.segment = oneOf('segment', SEGMENTS, 'ALL');
  view.ended = asked.get('ended') === '1';
  view.member = Number.parseInt(asked.get('member') ?? '', 10) || 0;
  view.sort = oneOf('sort', ORDERS, view.sort);
  view.direction = oneOf('direction', ['ASC', 'DESC'], view.direction);
  view.after = asked.get('after') ?? '';
  view.before = view.after ? '' : (asked.get('before') ?? '');
  if (asked.get('view') !== 'month') return view;
  const month = asked.get('month') ?? '';
  return ofMonth(view, isDate(`${month}-01`) ? month : today(view.zone).slice(0, 7));

}

/** The page of a month, by its days. */
export const ofMonth = (view: View, month: string): View => ({ ...view, month, range: 'CUSTOM', from: `${month}-01`, to: lastOf(`${month}-01`, 'MONTH'), by: 'DAY', measure: 'VISITS' });

/** The address of a view: whatever concerns the numbers, since whoever opens it may live in another zone. */
export function address(view: View): string {
  const usual = initial();
  const { range, from, to, month, by, measure, compare, basis, zone, week, segment, ended, member, sort, direction, after, before } = view;
  const parameters = new URLSearchParams(month ? { view: 'month', month } : range === 'CUSTOM' ? { from, to } : { range });
  if (by !== 'AUTO' && !month) parameters.set('by', by);
  if (measure !== usual.measure) parameters.set('measure', measure);
  if (compare !== usual.compare) parameters.set('compare', compare);
  parameters.set('basis', basis);
  parameters.set('zone', zone);
  if (isByWeek(view)) parameters.set('week', week);
  if (segment !== 'ALL') parameters.set('segment', segment);
  if (ended) parameters.set('ended', '1');
  if (member) parameters.set('member', String(member));
  if (sort !== usual.sort || direction !== usual.direction) {
    parameters.set('sort', sort);
    parameters.set('direction', direction);
  }
  if (after) parameters.set('after', after);
  if (before) parameters.set('before', before);
  if (linked) parameters.set('lang', linked);
  return `?${parameters}`;
}

const LENGTHS: Record<PageRange, number> = {
  TODAY: 1,
  YESTERDAY: 1,
  LAST_7_DAYS: 7,
  LAST_30_DAYS: 30,
  LAST_90_DAYS: 90,
  LAST_365_DAYS: 365,
  THIS_WEEK: 7,
  LAST_WEEK: 7,
  THIS_MONTH: 31,
  LAST_MONTH: 31,
  THIS_QUARTER: 92,
  LAST_QUARTER: 92,
  THIS_YEAR: 366,
  LAST_YEAR: 366,
};

/** How many days the range has at most. */
export const lengthOf = ({ range, from, to }: View) => (range === 'CUSTOM' ? daysBetween(from, to) : LENGTHS[range]);

const PER_DAY: Record<Granularity, number> = { HOUR: 24, DAY: 1, WEEK: 1 / 7, MONTH: 1 / 30, QUARTER: 1 / 91, YEAR: 1 / 365 };
/** More buckets than this are no chart any more. */
const MOST_BUCKETS = 1_100;

/** Whether the range can be cut so finely. */
export const isDrawable = (view: View, granularity: Granularity) => lengthOf(view) * PER_DAY[granularity] <= MOST_BUCKETS;

/** Whether the numbers depend on the day on which weeks begin. */
const isByWeek = (view: View) => view.range === 'THIS_WEEK' || view.range === 'LAST_WEEK' || granularityOf(view) === 'WEEK';

/** What buckets the chart has: those that were chosen where they fit, else the finest that can be told apart. */
export function granularityOf(view: View): Granularity {
  const { by } = view;
  if (by !== 'AUTO' && isDrawable(view, by)) return by;
  const days = lengthOf(view);
  if (by === 'AUTO' && days <= 2) return 'HOUR';
  if (by === 'AUTO' && days > 124) return days <= 800 ? 'WEEK' : days <= 4_000 ? 'MONTH' : 'YEAR';
  const found = GRANULARITIES.find((name) => PER_DAY[name] < (by === 'AUTO' ? 2 : PER_DAY[by]) && isDrawable(view, name));
  return found ?? 'YEAR';
}

/** Over how many buckets the average goes: about one turn of the next longer rhythm. */
export const AVERAGE_OVER: Record<Granularity, number> = { HOUR: 24, DAY: 7, WEEK: 4, MONTH: 3, QUARTER: 4, YEAR: 3 };

/** A usual day is the mean of the same weekday in so many weeks. */
export const USUAL_WEEKS = 8;

/** The gateway counts active members over so many days at most. */
const MOST_ACTIVE_DAYS = 1_100;
/** So many days have no more hours than the gateway lists. */
const MOST_HOURLY_DAYS = 366;
/** Cohorts and growth are those of the year up to the end of the range. */
const COHORT_MONTHS = 12;

/** The range for reports that know of weeks from Monday on only. */
function datesOf({ range, from, to, zone, week }: View) {
  if (range === 'CUSTOM') return { from, to };
  if (range !== 'THIS_WEEK' && range !== 'LAST_WEEK') return { range };
  const now = today(zone);
  const start = addDays(now, -((WEEKDAYS.indexOf(weekdayOf(now)) - WEEKDAYS.indexOf(week) + 7) % 7));
  return range === 'THIS_WEEK' ? { from: start, to: now } : { from: addDays(start, -7), to: addDays(start, -1) };
}

/** The question behind a page of members. */
export function ofMembers({ zone, segment, ended, member, name, sort, direction, after, before }: View): MembersQueryVariables {
  const named = name ? { nameContains: name } : {};
  return {
    timeZone: zone,
    segment: segment === 'ALL' ? null : segment,
    // Whoever is asked for by id is shown in any case.
    members: member ? { userIds: [member], ...named } : ended ? named : { isActive: true, ...named },
    orderBy: { field: sort, direction },
    ...(before ? { last: PAGE_SIZE, before } : { first: PAGE_SIZE, after: after || null }),
  };
}

/** The question behind a view. */
export function variables(view: View, withMembers: boolean): DashboardQueryVariables {
  const { range, from, to, basis, zone, week } = view;
  const isCustom = range === 'CUSTOM';
  const filter = isCustom ? { from, to } : { range };
  const dates = datesOf(view);
  const earliest = isCustom ? addDays(to, 1 - MOST_ACTIVE_DAYS) : '';
  const now = today(zone);
  const last = isCustom && to < now ? to : now;
  const granularity = granularityOf(view);
  const year = { from: iso(Date.UTC(Number(last.slice(0, 4)), Number(last.slice(5, 7)) - COHORT_MONTHS, 1)), to: last };
  return {
    filter,
    dates,
    activeFilter: isCustom ? { from: from > earliest ? from : earliest, to } : dates,
    cohorts: year,
    months: year,
    withVisitors: view.measure === 'MEMBERS' || view.month !== '',
    granularity,
    weekStart: isByWeek(view) ? week : null,
    week,
    basis,
    usual: { from: addDays(now, -7 * USUAL_WEEKS), to: addDays(now, -7), weekdays: [weekdayOf(now)] },
    averageOver: AVERAGE_OVER[granularity],
    // Days and hours depend on the weekday; in longer buckets, weekdays even out.
    compareTo: view.compare === 'YEAR' ? 'PREVIOUS_YEAR' : granularity === 'HOUR' || granularity === 'DAY' ? 'PREVIOUS_WEEKS' : 'PREVIOUS_PERIOD',
    withMembers,
    withBusiest: space.capacity > 0 && lengthOf(view) <= MOST_HOURLY_DAYS,
    ...ofMembers(view),
  };
}
