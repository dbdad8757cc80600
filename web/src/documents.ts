// Made of documents.graphql and schema.graphql by build.mjs.

/** A document that the gateway knows by its id. */
export interface Document<Data, Variables> {
  id: string;
  text: string;
  /** For the compiler alone. */
  types?: (variables: Variables) => Data;
}

export const Dashboard: Document<DashboardQuery, DashboardQueryVariables> = {
  id: 'b5a2ebc869290f0416148bb7cdf48910337f21c44d6959315fb0be7b1ea51056',
  text: "query Dashboard($filter: DailyUsageFilterInput!, $dates: DailyUsageFilterInput!, $activeFilter: DailyUsageFilterInput!, $cohorts: RetentionFilterInput!, $months: DailyUsageFilterInput!, $withVisitors: Boolean!, $granularity: Granularity!, $weekStart: Weekday, $week: Weekday!, $timeZone: TimeZone!, $basis: TimeBasis!, $usual: DailyUsageFilterInput!, $averageOver: Int!, $compareTo: Comparison!, $withMembers: Boolean!, $withBusiest: Boolean!, $segment: MemberSegment, $members: MembersFilterInput, $orderBy: UserVisitsOrderInput, $first: Int, $after: String, $last: Int, $before: String) {\n  usage(\n    granularity: $granularity\n    weekStart: $weekStart\n    filter: $filter\n    timeZone: $timeZone\n    basis: $basis\n    gaps: ZERO\n  ) {\n    ...Series\n  }\n  thisMonth: usage(\n    filter: {range: THIS_MONTH}\n    timeZone: $timeZone\n    basis: $basis\n  ) {\n    ...SoFar\n  }\n  thisWeek: usage(\n    filter: {range: THIS_WEEK}\n    weekStart: $week\n    timeZone: $timeZone\n    basis: $basis\n  ) {\n    ...SoFar\n  }\n  today: usage(\n    granularity: HOUR\n    filter: {range: TODAY}\n    timeZone: $timeZone\n    basis: $basis\n  ) {\n    to\n    buckets {\n      startMillis\n      visits\n    }\n    totals {\n      visits\n    }\n  }\n  usual: usage(\n    granularity: HOUR\n    filter: $usual\n    timeZone: $timeZone\n    basis: $basis\n  ) {\n    buckets {\n      startMillis\n      visits\n    }\n  }\n  heatmap(filter: $dates, timeZone: $timeZone, basis: $basis) {\n    from\n    recordedFrom\n    visits\n    cells {\n      weekday\n      hour\n      visits\n      average\n    }\n  }\n  hours: usage(\n    granularity: HOUR\n    filter: $dates\n    timeZone: $timeZone\n    basis: $basis\n  ) @include(if: $withBusiest) {\n    busiest {\n      startMillis\n      visits\n    }\n  }\n  activeUsers(filter: $activeFilter, timeZone: $timeZone, basis: $basis) {\n    startsAtMillis\n    daily\n    weekly\n    monthly\n    isPartial\n  }\n  retention(\n    cohort: MONTH\n    periods: 11\n    filter: $cohorts\n    timeZone: $timeZone\n    basis: $basis\n  ) {\n    start\n    members\n    periods {\n      active\n      rate\n      isPartial\n    }\n  }\n  membership(filter: $months, timeZone: $timeZone, basis: $basis) {\n    startMillis\n    joined\n    active\n    firstVisits\n    returning\n    stopped\n    isPartial\n  }\n  notes {\n    from\n    to\n    text\n  }\n  tokenFunnel(filter: $dates, timeZone: $timeZone) {\n    issued\n    used\n    unused\n    timeToUse {\n      median\n      p90\n      p99\n    }\n  }\n  segments(timeZone: $timeZone) {\n    segment\n    members\n    activeMembers\n  }\n  members(\n    segment: $segment\n    filter: $members\n    timeZone: $timeZone\n    orderBy: $orderBy\n    first: $first\n    after: $after\n    last: $last\n    before: $before\n  ) @include(if: $withMembers) {\n    ...MembersPage\n  }\n}\n\nfragment Series on Usage {\n  from\n  to\n  buckets {\n    startMillis\n    visits\n    tokensIssued\n    uniqueVisitors @include(if: $withVisitors)\n    newVisitors @include(if: $withVisitors)\n    returningVisitors @include(if: $withVisitors)\n    isPartial\n    rollingAverage(buckets: $averageOver)\n  }\n  totals {\n    visits\n    uniqueVisitors\n    newVisitors @include(if: $withVisitors)\n    returningVisitors @include(if: $withVisitors)\n    tokensIssued\n    conversionRate\n  }\n  previous(compareTo: $compareTo) {\n    from\n    to\n    buckets {\n      startMillis\n      visits\n    }\n    totals {\n      visits\n      uniqueVisitors\n      tokensIssued\n      conversionRate\n    }\n    change {\n      visits\n      uniqueVisitors\n      tokensIssued\n      conversionRate\n    }\n    changeRatio {\n      visits\n      uniqueVisitors\n      tokensIssued\n    }\n  }\n}\n\nfragment MembersPage on MemberConnection {\n  totalCount\n  pageInfo {\n    hasNextPage\n    hasPreviousPage\n    startCursor\n    endCursor\n  }\n  nodes {\n    userId\n    segment\n    visits\n    tokensIssued\n    firstVisitAt\n    lastVisitAt\n    joinedAt\n    isActive\n    user {\n      firstName\n      lastName\n    }\n  }\n}\n\nfragment SoFar on Usage {\n  from\n  to\n  previous(compareTo: PREVIOUS_WEEKS) {\n    from\n    to\n    current {\n      totals {\n        visits\n      }\n    }\n    totals {\n      visits\n    }\n  }\n}",
};

export const Members: Document<MembersQuery, MembersQueryVariables> = {
  id: '0e2bdaa567f1355ba3f1edb5a88bb4de2bd821bf7340c74adf095e93803aeda1',
  text: "query Members($timeZone: TimeZone!, $segment: MemberSegment, $members: MembersFilterInput, $orderBy: UserVisitsOrderInput, $first: Int, $after: String, $last: Int, $before: String) {\n  members(\n    segment: $segment\n    filter: $members\n    timeZone: $timeZone\n    orderBy: $orderBy\n    first: $first\n    after: $after\n    last: $last\n    before: $before\n  ) {\n    ...MembersPage\n  }\n}\n\nfragment MembersPage on MemberConnection {\n  totalCount\n  pageInfo {\n    hasNextPage\n    hasPreviousPage\n    startCursor\n    endCursor\n  }\n  nodes {\n    userId\n    segment\n    visits\n    tokensIssued\n    firstVisitAt\n    lastVisitAt\n    joinedAt\n    isActive\n    user {\n      firstName\n      lastName\n    }\n  }\n}",
};

export const Live: Document<LiveSubscription, LiveSubscriptionVariables> = {
  id: 'fbb9aaab132c1287bbf56a65785ab717f8534379ef85d55bbd9998a8a6893aeb',
  text: "subscription Live($withVisitors: Boolean!, $filter: DailyUsageFilterInput!, $granularity: Granularity!, $weekStart: Weekday, $timeZone: TimeZone!, $basis: TimeBasis!, $averageOver: Int!, $compareTo: Comparison!) {\n  usage(\n    granularity: $granularity\n    weekStart: $weekStart\n    filter: $filter\n    timeZone: $timeZone\n    basis: $basis\n    gaps: ZERO\n  ) {\n    ...Series\n  }\n}\n\nfragment Series on Usage {\n  from\n  to\n  buckets {\n    startMillis\n    visits\n    tokensIssued\n    uniqueVisitors @include(if: $withVisitors)\n    newVisitors @include(if: $withVisitors)\n    returningVisitors @include(if: $withVisitors)\n    isPartial\n    rollingAverage(buckets: $averageOver)\n  }\n  totals {\n    visits\n    uniqueVisitors\n    newVisitors @include(if: $withVisitors)\n    returningVisitors @include(if: $withVisitors)\n    tokensIssued\n    conversionRate\n  }\n  previous(compareTo: $compareTo) {\n    from\n    to\n    buckets {\n      startMillis\n      visits\n    }\n    totals {\n      visits\n      uniqueVisitors\n      tokensIssued\n      conversionRate\n    }\n    change {\n      visits\n      uniqueVisitors\n      tokensIssued\n      conversionRate\n    }\n    changeRatio {\n      visits\n      uniqueVisitors\n      tokensIssued\n    }\n  }\n}",
};

export const Today: Document<TodaySubscription, TodaySubscriptionVariables> = {
  id: '9271f4c765f31acbd4d0713cb40f433c654ef45b9c164d46cc525686f758a2b9',
  text: "subscription Today($timeZone: TimeZone!) {\n  usage(filter: {range: TODAY}, timeZone: $timeZone, basis: USED_AT) {\n    totals {\n      visits\n      tokensIssued\n    }\n  }\n}",
};

/** Internal type. DO NOT USE DIRECTLY. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Internal type. DO NOT USE DIRECTLY. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
/** The period that a range is compared with. */
export type Comparison =
  /**
   * The period just before, with as many days. A week, a month, a quarter, a year, or a range of whole months is
   * compared with the one before it. Days of months are compared with the days of the same number.
   */
  | 'PREVIOUS_PERIOD'
  /**
   * The same days of the week in earlier weeks, so that Mondays are compared with Mondays. The distance is the
   * number of whole weeks that covers the period: 7 days for a day or a week, 28 or 35 days for a month.
   */
  | 'PREVIOUS_WEEKS'
  /** The same dates one year before. With the granularity `WEEK`, the distance is 52 weeks. */
  | 'PREVIOUS_YEAR';

/**
 * The door codes that count. A door code counts when it meets all conditions. Conditions on `userIds`, `joinedFrom`
 * and `joinedTo` need the scope `members`.
 */
export type DailyUsageFilterInput = {
  /** The first local date, included. The range has no beginning when it is left out. */
  from?: string | null | undefined;
  /** The last local date, included. The range has no end when it is left out. */
  to?: string | null | undefined;
  /** A range of dates that moves with the days, such as `LAST_30_DAYS`. It cannot be combined with `from` or `to`. */
  range?: RelativeRange | null | undefined;
  /**
   * Only door codes of these members, by id: at most 1,000 ids. An empty list matches no member. Needs the scope
   * `members`.
   */
  userIds?: Array<number> | null | undefined;
  /** Only door codes of members who joined on this local date or later. Needs the scope `members`. */
  joinedFrom?: string | null | undefined;
  /** Only door codes of members who joined on this local date or earlier. Needs the scope `members`. */
  joinedTo?: string | null | undefined;
  /** Only door codes of members whose membership is active now (true), or is not active now (false). */
  isActive?: boolean | null | undefined;
  /** Only these local days of the week. Every day counts when it is left out; an empty list matches no day. */
  weekdays?: Array<Weekday> | null | undefined;
};

/** The length of a bucket. */
export type Granularity =
  /**
   * An hour of the local clock. The hour that daylight saving time repeats is two buckets; the hour that it skips
   * is no bucket.
   */
  | 'HOUR'
  /** A local calendar day. */
  | 'DAY'
  /** Seven local days, starting on the day `weekStart`. */
  | 'WEEK'
  /** A month of the local calendar. */
  | 'MONTH'
  /** Three months of the local calendar, starting in January, April, July or October. */
  | 'QUARTER'
  /** A year of the local calendar. */
  | 'YEAR';

/**
 * The group that a member belongs to, by the time of the last visit. Every member is in exactly one of `ACTIVE`,
 * `LAPSING`, `LAPSED` and `NEVER_CAME`; a `NEW` member is in one of these as well.
 */
export type MemberSegment =
  /** The member joined at most `newWithinDays` local days ago. */
  | 'NEW'
  /** The member last came at most `activeWithinDays` local days ago. */
  | 'ACTIVE'
  /**
   * The member last came more than `activeWithinDays` and at most `lapsedAfterDays` local days ago. A message may
   * bring the member back.
   */
  | 'LAPSING'
  /** The member last came more than `lapsedAfterDays` local days ago. */
  | 'LAPSED'
  /** The member never came. */
  | 'NEVER_CAME';

/** The members that `members` lists. A member is listed when all conditions are met. */
export type MembersFilterInput = {
  /** Only the members with these ids: at most 1,000 ids. An empty list matches no member. */
  userIds?: Array<number> | null | undefined;
  /** Only members who joined on this local date or later. */
  joinedFrom?: string | null | undefined;
  /** Only members who joined on this local date or earlier. */
  joinedTo?: string | null | undefined;
  /** Only members whose membership is active now (true), or is not active now (false). */
  isActive?: boolean | null | undefined;
  /**
   * Only members whose name contains this text, in upper or lower case: 1 to 101 characters of the first name, a
   * space and the last name. `%`, `_` and `\\` mean themselves, accents count, and control characters are refused.
   * Needs the scope `members`.
   */
  nameContains?: string | null | undefined;
};

/** The direction in which a list is sorted. */
export type OrderDirection =
  /** Ascending: the smallest or earliest value comes first. */
  | 'ASC'
  /** Descending: the largest or latest value comes first. */
  | 'DESC';

/**
 * A range of local dates that moves with the days. The ranges named "this" week, month, quarter or year run up to
 * today; those named "last" week, month, quarter or year are whole; the "last n days" end with today.
 */
export type RelativeRange =
  /** Today alone, which is still partial. */
  | 'TODAY'
  /** The day before today. */
  | 'YESTERDAY'
  /** Today and the 6 days before. */
  | 'LAST_7_DAYS'
  /** Today and the 29 days before. */
  | 'LAST_30_DAYS'
  /** Today and the 89 days before. */
  | 'LAST_90_DAYS'
  /** Today and the 364 days before. */
  | 'LAST_365_DAYS'
  /** From the first day of this week up to today. Weeks start on Monday, or on the field's `weekStart`. */
  | 'THIS_WEEK'
  /** The seven days of the week before this one. Weeks start on Monday, or on the field's `weekStart`. */
  | 'LAST_WEEK'
  /** From the 1st of this month up to today. */
  | 'THIS_MONTH'
  /** The whole month before this one. */
  | 'LAST_MONTH'
  /** From the first day of this quarter up to today. Quarters start in January, April, July and October. */
  | 'THIS_QUARTER'
  /** The whole quarter before this one. Quarters start in January, April, July and October. */
  | 'LAST_QUARTER'
  /** From January 1st of this year up to today. */
  | 'THIS_YEAR'
  /** The whole year before this one. */
  | 'LAST_YEAR'
  /** All dates, as without a range. The range has no beginning, so nothing is compared with a period before it. */
  | 'ALL';

/**
 * The cohorts that `retention` lists, and the members that count. A member counts when all conditions are met. The
 * condition on `userIds` needs the scope `members`.
 */
export type RetentionFilterInput = {
  /** Only members who joined, or first came, on this local date or later. */
  from?: string | null | undefined;
  /** Only members who joined, or first came, on this local date or earlier. */
  to?: string | null | undefined;
  /**
   * A range of dates that moves with the days, such as `THIS_YEAR`, on which members joined or first came. It
   * cannot be combined with `from` or `to`.
   */
  range?: RelativeRange | null | undefined;
  /**
   * Only the members with these ids: at most 1,000 ids. An empty list matches no member. Needs the scope
   * `members`.
   */
  userIds?: Array<number> | null | undefined;
  /** Only members whose membership is active now (true), or is not active now (false). */
  isActive?: boolean | null | undefined;
};

/** The time of a door code that decides when its visit counts. */
export type TimeBasis =
  /** A visit counts at the time at which its door code was issued. The legacy reports count visits this way. */
  | 'ISSUED_AT'
  /** A visit counts at the time at which its door code opened the door. */
  | 'USED_AT';

/** The values that `userVisits` and `members` can be sorted by. */
export type UserVisitsOrderField =
  /** The member's id. */
  | 'USER_ID'
  /** Visits: door codes that were used. */
  | 'VISITS'
  /** Door codes issued. */
  | 'TOKENS_ISSUED'
  /** The instant at which the member joined. */
  | 'JOINED_AT'
  /** The instant of the earliest visit. */
  | 'FIRST_VISIT_AT'
  /** The instant of the latest visit. */
  | 'LAST_VISIT_AT';

/** The order of `userVisits` and of `members`. Ties are ordered by member id; members without the value come last. */
export type UserVisitsOrderInput = {
  /** The value to sort by. */
  field?: UserVisitsOrderField;
  /** Sort direction. */
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
  dates: DailyUsageFilterInput;
  activeFilter: DailyUsageFilterInput;
  cohorts: RetentionFilterInput;
  months: DailyUsageFilterInput;
  withVisitors: boolean;
  granularity: Granularity;
  weekStart?: Weekday | null | undefined;
  week: Weekday;
  timeZone: string;
  basis: TimeBasis;
  usual: DailyUsageFilterInput;
  averageOver: number;
  compareTo: Comparison;
  withMembers: boolean;
  withBusiest: boolean;
  segment?: MemberSegment | null | undefined;
  members?: MembersFilterInput | null | undefined;
  orderBy?: UserVisitsOrderInput | null | undefined;
  first?: number | null | undefined;
  after?: string | null | undefined;
  last?: number | null | undefined;
  before?: string | null | undefined;
}>;


export type DashboardQuery = { usage: { from: string | null, to: string | null, buckets: Array<{ startMillis: number, visits: number | null, tokensIssued: number | null, uniqueVisitors?: number | null, newVisitors?: number | null, returningVisitors?: number | null, isPartial: boolean, rollingAverage: number | null }>, totals: { visits: number, uniqueVisitors: number, newVisitors?: number, returningVisitors?: number, tokensIssued: number, conversionRate: number | null }, previous: { from: string, to: string, buckets: Array<{ startMillis: number | null, visits: number | null }>, totals: { visits: number, uniqueVisitors: number, tokensIssued: number, conversionRate: number | null }, change: { visits: number | null, uniqueVisitors: number | null, tokensIssued: number | null, conversionRate: number | null }, changeRatio: { visits: number | null, uniqueVisitors: number | null, tokensIssued: number | null } } } | null, thisMonth: { from: string | null, to: string | null, previous: { from: string, to: string, current: { totals: { visits: number } }, totals: { visits: number } } } | null, thisWeek: { from: string | null, to: string | null, previous: { from: string, to: string, current: { totals: { visits: number } }, totals: { visits: number } } } | null, today: { to: string | null, buckets: Array<{ startMillis: number, visits: number | null }>, totals: { visits: number } } | null, usual: { buckets: Array<{ startMillis: number, visits: number | null }> } | null, heatmap: { from: string | null, recordedFrom: string | null, visits: number, cells: Array<{ weekday: Weekday, hour: number, visits: number, average: number | null }> } | null, hours?: { busiest: { startMillis: number, visits: number | null } | null } | null, activeUsers: Array<{ startsAtMillis: number, daily: number, weekly: number, monthly: number, isPartial: boolean }> | null, retention: Array<{ start: string, members: number, periods: Array<{ active: number | null, rate: number | null, isPartial: boolean }> }> | null, membership: Array<{ startMillis: number, joined: number, active: number, firstVisits: number, returning: number, stopped: number, isPartial: boolean }> | null, notes: Array<{ from: string, to: string, text: string }> | null, tokenFunnel: { issued: number, used: number, unused: number, timeToUse: { median: number | null, p90: number | null, p99: number | null } } | null, segments: Array<{ segment: MemberSegment, members: number, activeMembers: number }> | null, members?: { totalCount: number, pageInfo: { hasNextPage: boolean, hasPreviousPage: boolean, startCursor: string | null, endCursor: string | null }, nodes: Array<{ userId: number, segment: MemberSegment, visits: number, tokensIssued: number, firstVisitAt: string | null, lastVisitAt: string | null, joinedAt: string | null, isActive: boolean | null, user: { firstName: string, lastName: string } | null }> } | null };

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
  withVisitors: boolean;
  filter: DailyUsageFilterInput;
  granularity: Granularity;
  weekStart?: Weekday | null | undefined;
  timeZone: string;
  basis: TimeBasis;
  averageOver: number;
  compareTo: Comparison;
}>;


export type LiveSubscription = { usage: { from: string | null, to: string | null, buckets: Array<{ startMillis: number, visits: number | null, tokensIssued: number | null, uniqueVisitors?: number | null, newVisitors?: number | null, returningVisitors?: number | null, isPartial: boolean, rollingAverage: number | null }>, totals: { visits: number, uniqueVisitors: number, newVisitors?: number, returningVisitors?: number, tokensIssued: number, conversionRate: number | null }, previous: { from: string, to: string, buckets: Array<{ startMillis: number | null, visits: number | null }>, totals: { visits: number, uniqueVisitors: number, tokensIssued: number, conversionRate: number | null }, change: { visits: number | null, uniqueVisitors: number | null, tokensIssued: number | null, conversionRate: number | null }, changeRatio: { visits: number | null, uniqueVisitors: number | null, tokensIssued: number | null } } } | null };

export type TodaySubscriptionVariables = Exact<{
  timeZone: string;
}>;


export type TodaySubscription = { usage: { totals: { visits: number, tokensIssued: number } } | null };

export type SeriesFragment = { from: string | null, to: string | null, buckets: Array<{ startMillis: number, visits: number | null, tokensIssued: number | null, uniqueVisitors?: number | null, newVisitors?: number | null, returningVisitors?: number | null, isPartial: boolean, rollingAverage: number | null }>, totals: { visits: number, uniqueVisitors: number, newVisitors?: number, returningVisitors?: number, tokensIssued: number, conversionRate: number | null }, previous: { from: string, to: string, buckets: Array<{ startMillis: number | null, visits: number | null }>, totals: { visits: number, uniqueVisitors: number, tokensIssued: number, conversionRate: number | null }, change: { visits: number | null, uniqueVisitors: number | null, tokensIssued: number | null, conversionRate: number | null }, changeRatio: { visits: number | null, uniqueVisitors: number | null, tokensIssued: number | null } } };

export type MembersPageFragment = { totalCount: number, pageInfo: { hasNextPage: boolean, hasPreviousPage: boolean, startCursor: string | null, endCursor: string | null }, nodes: Array<{ userId: number, segment: MemberSegment, visits: number, tokensIssued: number, firstVisitAt: string | null, lastVisitAt: string | null, joinedAt: string | null, isActive: boolean | null, user: { firstName: string, lastName: string } | null }> };

export type SoFarFragment = { from: string | null, to: string | null, previous: { from: string, to: string, current: { totals: { visits: number } }, totals: { visits: number } } };
