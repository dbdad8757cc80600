// Made of documents.graphql and schema.graphql by build.mjs.

/** A document that the gateway knows by its id. */
export interface Document<Data, Variables> {
  id: string;
  text: string;
  /** For the compiler alone. */
  types?: (variables: Variables) => Data;
}

export const Dashboard: Document<DashboardQuery, DashboardQueryVariables> = {
  id: '3ddcb00227000d0ee6788b903e706bf43b337341fe0f943b69730c7eabf88c50',
  text: "query Dashboard($filter: DailyUsageFilterInput!, $activeFilter: DailyUsageFilterInput!, $cohorts: RetentionFilterInput!, $granularity: Granularity!, $timeZone: TimeZone!, $basis: TimeBasis!, $averageOver: Int!, $withMembers: Boolean!, $segment: MemberSegment, $members: MembersFilterInput, $orderBy: UserVisitsOrderInput, $first: Int, $after: String, $last: Int, $before: String) {\n  usage(\n    granularity: $granularity\n    filter: $filter\n    timeZone: $timeZone\n    basis: $basis\n    gaps: ZERO\n  ) {\n    ...Series\n  }\n  thisMonth: usage(\n    filter: {range: THIS_MONTH}\n    timeZone: $timeZone\n    basis: $basis\n    gaps: ZERO\n  ) {\n    from\n    buckets {\n      visits\n      isPartial\n    }\n    previous {\n      from\n      buckets {\n        visits\n      }\n    }\n  }\n  lastMonth: usage(\n    granularity: MONTH\n    filter: {range: LAST_MONTH}\n    timeZone: $timeZone\n    basis: $basis\n  ) {\n    from\n    previous {\n      from\n      current {\n        totals {\n          visits\n        }\n      }\n      totals {\n        visits\n      }\n    }\n  }\n  heatmap(filter: $filter, timeZone: $timeZone, basis: $basis) {\n    visits\n    cells {\n      weekday\n      hour\n      visits\n      average\n    }\n  }\n  activeUsers(filter: $activeFilter, timeZone: $timeZone, basis: $basis) {\n    startsAtMillis\n    daily\n    weekly\n    monthly\n    isPartial\n  }\n  retention(\n    cohort: MONTH\n    periods: 11\n    filter: $cohorts\n    timeZone: $timeZone\n    basis: $basis\n  ) {\n    start\n    members\n    periods {\n      active\n      rate\n      isPartial\n    }\n  }\n  tokenFunnel(filter: $filter, timeZone: $timeZone) {\n    issued\n    used\n    unused\n    timeToUse {\n      median\n      p90\n      p99\n    }\n  }\n  members(\n    segment: $segment\n    filter: $members\n    timeZone: $timeZone\n    orderBy: $orderBy\n    first: $first\n    after: $after\n    last: $last\n    before: $before\n  ) @include(if: $withMembers) {\n    ...MembersPage\n  }\n}\n\nfragment Series on Usage {\n  to\n  buckets {\n    startMillis\n    visits\n    tokensIssued\n    isPartial\n    rollingAverage(buckets: $averageOver)\n  }\n  totals {\n    visits\n    uniqueVisitors\n    tokensIssued\n    conversionRate\n  }\n  previous {\n    from\n    to\n    buckets {\n      startMillis\n      visits\n    }\n    totals {\n      visits\n      uniqueVisitors\n      tokensIssued\n      conversionRate\n    }\n    change {\n      conversionRate\n    }\n    changeRatio {\n      visits\n      uniqueVisitors\n      tokensIssued\n    }\n  }\n}\n\nfragment MembersPage on MemberConnection {\n  totalCount\n  pageInfo {\n    hasNextPage\n    hasPreviousPage\n    startCursor\n    endCursor\n  }\n  nodes {\n    userId\n    segment\n    visits\n    tokensIssued\n    firstVisitAt\n    lastVisitAt\n    joinedAt\n    isActive\n    user {\n      firstName\n      lastName\n    }\n  }\n}",
};

export const Members: Document<MembersQuery, MembersQueryVariables> = {
  id: '0e2bdaa567f1355ba3f1edb5a88bb4de2bd821bf7340c74adf095e93803aeda1',
  text: "query Members($timeZone: TimeZone!, $segment: MemberSegment, $members: MembersFilterInput, $orderBy: UserVisitsOrderInput, $first: Int, $after: String, $last: Int, $before: String) {\n  members(\n    segment: $segment\n    filter: $members\n    timeZone: $timeZone\n    orderBy: $orderBy\n    first: $first\n    after: $after\n    last: $last\n    before: $before\n  ) {\n    ...MembersPage\n  }\n}\n\nfragment MembersPage on MemberConnection {\n  totalCount\n  pageInfo {\n    hasNextPage\n    hasPreviousPage\n    startCursor\n    endCursor\n  }\n  nodes {\n    userId\n    segment\n    visits\n    tokensIssued\n    firstVisitAt\n    lastVisitAt\n    joinedAt\n    isActive\n    user {\n      firstName\n      lastName\n    }\n  }\n}",
};

export const Live: Document<LiveSubscription, LiveSubscriptionVariables> = {
  id: 'a18c2dbec7622c66aa33bfec813314482964bef1c375697e796265232d852ccd',
  text: "subscription Live($filter: DailyUsageFilterInput!, $granularity: Granularity!, $timeZone: TimeZone!, $basis: TimeBasis!, $averageOver: Int!) {\n  usage(\n    granularity: $granularity\n    filter: $filter\n    timeZone: $timeZone\n    basis: $basis\n    gaps: ZERO\n  ) {\n    ...Series\n  }\n}\n\nfragment Series on Usage {\n  to\n  buckets {\n    startMillis\n    visits\n    tokensIssued\n    isPartial\n    rollingAverage(buckets: $averageOver)\n  }\n  totals {\n    visits\n    uniqueVisitors\n    tokensIssued\n    conversionRate\n  }\n  previous {\n    from\n    to\n    buckets {\n      startMillis\n      visits\n    }\n    totals {\n      visits\n      uniqueVisitors\n      tokensIssued\n      conversionRate\n    }\n    change {\n      conversionRate\n    }\n    changeRatio {\n      visits\n      uniqueVisitors\n      tokensIssued\n    }\n  }\n}",
};

export const Today: Document<TodaySubscription, TodaySubscriptionVariables> = {
  id: '9271f4c765f31acbd4d0713cb40f433c654ef45b9c164d46cc525686f758a2b9',
  text: "subscription Today($timeZone: TimeZone!) {\n  usage(filter: {range: TODAY}, timeZone: $timeZone, basis: USED_AT) {\n    totals {\n      visits\n      tokensIssued\n    }\n  }\n}",
};

/** Internal type. DO NOT USE DIRECTLY. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Internal type. DO NOT USE DIRECTLY. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
/** Which tokens count. Conditions are combined with "and". */
export type DailyUsageFilterInput = {
  /** First local date, included. */
  from?: string | null | undefined;
  /** Last local date, included. */
  to?: string | null | undefined;
  /** Dates that move with the days, such as `LAST_30_DAYS`; instead of `from` and `to`. */
  range?: RelativeRange | null | undefined;
  /** Only tokens of these members: at most 1,000 ids. An empty list matches nobody. */
  userIds?: Array<number> | null | undefined;
  /** Only tokens of members who joined on this local date or later. */
  joinedFrom?: string | null | undefined;
  /** Only tokens of members who joined on this local date or earlier. */
  joinedTo?: string | null | undefined;
  /** Only tokens of members whose membership is active now (true), or is not (false). */
  isActive?: boolean | null | undefined;
  /** Only these days of the week; every day when left out. */
  weekdays?: Array<Weekday> | null | undefined;
};

/** How long a bucket is. */
export type Granularity =
  /**
   * An hour on the clock on the wall. The hour that daylight saving time repeats is two buckets, the
   * one that it skips none.
   */
  | 'HOUR'
  /** A local day. */
  | 'DAY'
  /** Seven days from `weekStart` on. */
  | 'WEEK'
  /** A month of the calendar. */
  | 'MONTH'
  /** Three months, from January, April, July or October on. */
  | 'QUARTER'
  /** A year of the calendar. */
  | 'YEAR';

/**
 * Where a member stands. `ACTIVE`, `LAPSING`, `LAPSED` and `NEVER_CAME` divide all members; `NEW` ones are in one of
 * these as well.
 */
export type MemberSegment =
  /** Joined at most `newWithinDays` ago. */
  | 'NEW'
  /** Last came at most `activeWithinDays` ago. */
  | 'ACTIVE'
  /** Last came longer ago than that, and at most `lapsedAfterDays` ago: a message may bring them back. */
  | 'LAPSING'
  /** Last came more than `lapsedAfterDays` ago. */
  | 'LAPSED'
  /** Never came. */
  | 'NEVER_CAME';

/** Which members `members` lists. Conditions are combined with "and". */
export type MembersFilterInput = {
  /** Only these members: at most 1,000 ids. An empty list matches nobody. */
  userIds?: Array<number> | null | undefined;
  /** Only members who joined on this local date or later. */
  joinedFrom?: string | null | undefined;
  /** Only members who joined on this local date or earlier. */
  joinedTo?: string | null | undefined;
  /** Only members whose membership is active now (true), or is not (false). */
  isActive?: boolean | null | undefined;
};

/** Which way a list is sorted. */
export type OrderDirection =
  /** Smallest, earliest, first. */
  | 'ASC'
  /** Largest, latest, first. */
  | 'DESC';

/**
 * A range that moves with the days. Ranges of "this" week, month, quarter and year run up to today; those of
 * the "last" ones are whole; the "last n days" end with today.
 */
export type RelativeRange =
  /** Today alone: still partial. */
  | 'TODAY'
  /** The day before today. */
  | 'YESTERDAY'
  /** Today and the six days before. */
  | 'LAST_7_DAYS'
  /** Today and the 29 days before. */
  | 'LAST_30_DAYS'
  /** Today and the 89 days before. */
  | 'LAST_90_DAYS'
  /** Today and the 364 days before. */
  | 'LAST_365_DAYS'
  /** From the first day of this week up to today. Weeks start on Monday, or on the field's `weekStart`. */
  | 'THIS_WEEK'
  /** The seven days of the week before this one. */
  | 'LAST_WEEK'
  /** From the 1st of this month up to today. */
  | 'THIS_MONTH'
  /** The whole month before this one. */
  | 'LAST_MONTH'
  /** From the first day of this quarter up to today. Quarters start in January, April, July and October. */
  | 'THIS_QUARTER'
  /** The whole quarter before this one. */
  | 'LAST_QUARTER'
  /** From January 1st up to today. */
  | 'THIS_YEAR'
  /** The whole year before this one. */
  | 'LAST_YEAR';

/** Which cohorts `retention` lists, and of which members. Conditions are combined with "and". */
export type RetentionFilterInput = {
  /** Only members who joined, or first came, on this local date or later. */
  from?: string | null | undefined;
  /** Only members who joined, or first came, on this local date or earlier. */
  to?: string | null | undefined;
  /** Dates that move with the days, such as `THIS_YEAR`; instead of `from` and `to`. */
  range?: RelativeRange | null | undefined;
  /** Only these members: at most 1,000 ids. An empty list matches nobody. */
  userIds?: Array<number> | null | undefined;
  /** Only members whose membership is active now (true), or is not (false). */
  isActive?: boolean | null | undefined;
};

/** Which of a token's two times decides the day that a visit belongs to. */
export type TimeBasis =
  /** A visit counts on the day on which its token was issued. The legacy reports count so. */
  | 'ISSUED_AT'
  /** A visit counts on the day on which its token opened the door. */
  | 'USED_AT';

/** What `userVisits` can be sorted by. */
export type UserVisitsOrderField =
  /** The member's id. */
  | 'USER_ID'
  /** Tokens used. */
  | 'VISITS'
  /** Tokens issued. */
  | 'TOKENS_ISSUED'
  /** When the member joined. */
  | 'JOINED_AT'
  /** The earliest visit. */
  | 'FIRST_VISIT_AT'
  /** The latest visit. */
  | 'LAST_VISIT_AT';

/** The order of `userVisits`. Ties are in order of the user id; members without the value come last. */
export type UserVisitsOrderInput = {
  /** What to sort by. */
  field?: UserVisitsOrderField;
  /** Which way. */
  direction?: OrderDirection;
};

/** A day of the week. */
export type Weekday =
  /** Monday. */
  | 'MONDAY'
  /** Tuesday. */
  | 'TUESDAY'
  /** Wednesday. */
  | 'WEDNESDAY'
  /** Thursday. */
  | 'THURSDAY'
  /** Friday. */
  | 'FRIDAY'
  /** Saturday. */
  | 'SATURDAY'
  /** Sunday. */
  | 'SUNDAY';

export type DashboardQueryVariables = Exact<{
  filter: DailyUsageFilterInput;
  activeFilter: DailyUsageFilterInput;
  cohorts: RetentionFilterInput;
  granularity: Granularity;
  timeZone: string;
  basis: TimeBasis;
  averageOver: number;
  withMembers: boolean;
  segment?: MemberSegment | null | undefined;
  members?: MembersFilterInput | null | undefined;
  orderBy?: UserVisitsOrderInput | null | undefined;
  first?: number | null | undefined;
  after?: string | null | undefined;
  last?: number | null | undefined;
  before?: string | null | undefined;
}>;


export type DashboardQuery = { usage: { to: string | null, buckets: Array<{ startMillis: number, visits: number | null, tokensIssued: number | null, isPartial: boolean, rollingAverage: number | null }>, totals: { visits: number, uniqueVisitors: number, tokensIssued: number, conversionRate: number | null }, previous: { from: string, to: string, buckets: Array<{ startMillis: number | null, visits: number | null }>, totals: { visits: number, uniqueVisitors: number, tokensIssued: number, conversionRate: number | null }, change: { conversionRate: number | null }, changeRatio: { visits: number | null, uniqueVisitors: number | null, tokensIssued: number | null } } } | null, thisMonth: { from: string | null, buckets: Array<{ visits: number | null, isPartial: boolean }>, previous: { from: string, buckets: Array<{ visits: number | null }> } } | null, lastMonth: { from: string | null, previous: { from: string, current: { totals: { visits: number } }, totals: { visits: number } } } | null, heatmap: { visits: number, cells: Array<{ weekday: Weekday, hour: number, visits: number, average: number | null }> } | null, activeUsers: Array<{ startsAtMillis: number, daily: number, weekly: number, monthly: number, isPartial: boolean }> | null, retention: Array<{ start: string, members: number, periods: Array<{ active: number | null, rate: number | null, isPartial: boolean }> }> | null, tokenFunnel: { issued: number, used: number, unused: number, timeToUse: { median: number | null, p90: number | null, p99: number | null } } | null, members?: { totalCount: number, pageInfo: { hasNextPage: boolean, hasPreviousPage: boolean, startCursor: string | null, endCursor: string | null }, nodes: Array<{ userId: number, segment: MemberSegment, visits: number, tokensIssued: number, firstVisitAt: string | null, lastVisitAt: string | null, joinedAt: string | null, isActive: boolean | null, user: { firstName: string, lastName: string } | null }> } | null };

export type MembersQueryVariables = Exact<{
  timeZone: string;
  segment?: MemberSegment | null | undefined;
  members?: MembersFilterInput | null | undefined;
  orderBy?: UserVisitsOrderInput | null | undefined;
  first?: number | null | undefined;
  after?: string | null | undefined;
  last?: number | null | undefined;
  before?: string | null | undefined;
}>;


export type MembersQuery = { members: { totalCount: number, pageInfo: { hasNextPage: boolean, hasPreviousPage: boolean, startCursor: string | null, endCursor: string | null }, nodes: Array<{ userId: number, segment: MemberSegment, visits: number, tokensIssued: number, firstVisitAt: string | null, lastVisitAt: string | null, joinedAt: string | null, isActive: boolean | null, user: { firstName: string, lastName: string } | null }> } | null };

export type LiveSubscriptionVariables = Exact<{
  filter: DailyUsageFilterInput;
  granularity: Granularity;
  timeZone: string;
  basis: TimeBasis;
  averageOver: number;
}>;


export type LiveSubscription = { usage: { to: string | null, buckets: Array<{ startMillis: number, visits: number | null, tokensIssued: number | null, isPartial: boolean, rollingAverage: number | null }>, totals: { visits: number, uniqueVisitors: number, tokensIssued: number, conversionRate: number | null }, previous: { from: string, to: string, buckets: Array<{ startMillis: number | null, visits: number | null }>, totals: { visits: number, uniqueVisitors: number, tokensIssued: number, conversionRate: number | null }, change: { conversionRate: number | null }, changeRatio: { visits: number | null, uniqueVisitors: number | null, tokensIssued: number | null } } } | null };

export type TodaySubscriptionVariables = Exact<{
  timeZone: string;
}>;


export type TodaySubscription = { usage: { totals: { visits: number, tokensIssued: number } } | null };

export type SeriesFragment = { to: string | null, buckets: Array<{ startMillis: number, visits: number | null, tokensIssued: number | null, isPartial: boolean, rollingAverage: number | null }>, totals: { visits: number, uniqueVisitors: number, tokensIssued: number, conversionRate: number | null }, previous: { from: string, to: string, buckets: Array<{ startMillis: number | null, visits: number | null }>, totals: { visits: number, uniqueVisitors: number, tokensIssued: number, conversionRate: number | null }, change: { conversionRate: number | null }, changeRatio: { visits: number | null, uniqueVisitors: number | null, tokensIssued: number | null } } };

export type MembersPageFragment = { totalCount: number, pageInfo: { hasNextPage: boolean, hasPreviousPage: boolean, startCursor: string | null, endCursor: string | null }, nodes: Array<{ userId: number, segment: MemberSegment, visits: number, tokensIssued: number, firstVisitAt: string | null, lastVisitAt: string | null, joinedAt: string | null, isActive: boolean | null, user: { firstName: string, lastName: string } | null }> };
