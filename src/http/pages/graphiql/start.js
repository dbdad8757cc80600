'use strict';

// What an analyst meets first: one tab a question. A visitor's own tabs, once there are any, win. The first
// has no variables: GraphiQL forgets those of the tab that it opens with.
const examples = [
  {
    query: `# How busy was the space, day by day?
# The last row is today: still partial.
query DailyUsage {
  dailyUsage(filter: { range: LAST_30_DAYS }, gaps: ZERO) {
    date
    visits
    uniqueVisitors
    rollingAverage(days: 7)
    isPartial
  }
}
`,
  },
  {
    query: `# Is this month better than the last one,
# up to the same day?
query Compare {
  usage(filter: { range: THIS_MONTH }, gaps: ZERO) {
    totals {
      visits
      uniqueVisitors
    }
    previous {
      from
      to
      totals {
        visits
        uniqueVisitors
      }
      changeRatio {
        visits
        uniqueVisitors
      }
      buckets {
        label
        visits
      }
    }
    buckets {
      label
      visits
      cumulative
    }
  }
}
`,
  },
  {
    query: `# How many members came for the first time
# each month, and how many came again?
query NewAndReturning {
  usage(granularity: MONTH, basis: USED_AT, filter: { range: LAST_365_DAYS }) {
    buckets {
      label
      uniqueVisitors
      newVisitors
      returningVisitors
      visitsPerVisitor
    }
  }
}
`,
  },
  {
    query: `# When is the space full? The busiest hours of
# the week, and how many visits to expect then.
# For a heatmap, ask for its cells instead.
query Busy($timeZone: TimeZone!) {
  heatmap(
    filter: { range: LAST_90_DAYS }
    timeZone: $timeZone
    basis: USED_AT
  ) {
    peakHours(first: 10) {
      weekday
      hour
      average
      share
    }
  }
}
`,
    variables: JSON.stringify({ timeZone: Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC' }, null, 2),
  },
  {
    query: `# How many members are active, and how often
# do they come? Stickiness is daily / monthly.
query Active {
  activeUsers(filter: { range: LAST_30_DAYS }) {
    date
    daily
    weekly
    monthly
    stickiness
    isPartial
  }
}
`,
  },
  {
    query: `# Do members stay? By the month in which they
# first came: how many came in each month after.
query Cohorts {
  retention(anchor: FIRST_VISIT, periods: 3) {
    label
    members
    periods {
      index
      active
      rate
      isPartial
    }
  }
}
`,
  },
  {
    query: `# Whom should we write to? Members who used to
# come, and last did 31 to 90 days ago.
query Lapsing {
  members(
    segment: LAPSING
    filter: { isActive: true }
    orderBy: { field: VISITS, direction: DESC }
    first: 20
  ) {
    totalCount
    nodes {
      visits
      daysSinceLastVisit
      user {
        firstName
        lastName
      }
    }
  }
}
`,
  },
  {
    query: `# Members by a part of their name, in upper or
# lower case.
query Named {
  members(filter: { nameContains: "eng" }, first: 20) {
    totalCount
    nodes {
      userId
      lastVisitAt
      user {
        firstName
        lastName
      }
    }
  }
}
`,
  },
  {
    query: `# Who comes most?
# Page on with after: the endCursor below.
query TopVisitors {
  userVisits(
    filter: { range: LAST_90_DAYS }
    orderBy: { field: VISITS, direction: DESC }
    first: 10
  ) {
    nodes {
      rank
      visits
      share
      user {
        firstName
        lastName
      }
    }
    others {
      users
      visits
      share
    }
    pageInfo {
      hasNextPage
      endCursor
    }
  }
}
`,
  },
  {
    query: `# How many members came once, twice, ...
query Frequency {
  frequency(filter: { range: LAST_30_DAYS }) {
    visits
    members
    membersAtLeast
  }
}
`,
  },
  {
    query: `# What to expect in the next two weeks, and how far
# such forecasts were from what happened.
query Forecast($timeZone: TimeZone!) {
  forecast(days: 14, timeZone: $timeZone, basis: USED_AT) {
    days {
      date
      expected
      lower
      upper
    }
    backtest {
      days
      meanAbsoluteError
      seasonalNaiveError
    }
  }
}
`,
    variables: JSON.stringify({ timeZone: Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC' }, null, 2),
  },
  {
    query: `# Growth and churn, month by month: who joined,
# came first, came again, or has been away for 30 days?
query Growth {
  membership(filter: { range: LAST_365_DAYS }, basis: USED_AT, stoppedAfterDays: 30) {
    label
    joined
    active
    firstVisits
    returning
    stopped
  }
}
`,
  },
  {
    query: `# How many members come, stay away, or left,
# and how many of them have a membership?
query Segments {
  segments {
    segment
    members
    activeMembers
  }
}
`,
  },
  {
    query: `# Are door codes used, and how long after
# they were issued? In seconds.
query Funnel {
  tokenFunnel(filter: { range: LAST_30_DAYS }) {
    issued
    used
    unused
    conversionRate
    timeToUse {
      median
      p90
      p99
    }
  }
}
`,
  },
  {
    query: `# The latest day, live: a new answer
# whenever the numbers change.
subscription Live {
  dailyUsage(orderBy: { direction: DESC }, first: 1) {
    date
    tokensIssued
    visits
    isPartial
  }
}
`,
  },
];

// A question that a link brings, such as the dashboard's, opens in a tab of its own: the first one, if there are none yet.
const linked = new URLSearchParams(location.hash.slice(1));
const brought = linked.has('query') ? { query: linked.get('query'), variables: linked.get('variables') ?? undefined } : undefined;
if (brought) history.replaceState(null, '', location.pathname);

// The key that was entered into the dashboard: kept by the browser's tab, and sent with what GraphiQL asks.
const key = sessionStorage.getItem('key');
const credentials = key ? { authorization: `Bearer ${key}` } : {};

ReactDOM.createRoot(document.getElementById('graphiql')).render(
  React.createElement(GraphiQL, {
    fetcher: GraphiQL.createFetcher({
      url: '/graphql',
      subscriptionUrl: `${origin.replace('http', 'ws')}/graphql/ws`,
      headers: credentials,
      wsConnectionParams: credentials,
    }),
    defaultTabs: brought ? [brought, ...examples] : examples,
    ...brought,
    defaultEditorToolsVisibility: 'variables',
  }),
);
