'use strict';

// What an analyst meets first: one tab a question. A visitor's own tabs, once there are any, win.
const examples = [
  {
    query: `# How busy was the space, day by day?
# The first row is today: still partial.
query DailyUsage {
  dailyUsage(orderBy: { direction: DESC }, first: 30) {
    date
    visits
    uniqueVisitors
    tokensIssued
    conversionRate
    isPartial
  }
}
`,
  },
  {
    query: `# Who comes most often?
# Page on with after: the endCursor below.
query TopVisitors {
  userVisits(orderBy: { field: VISITS, direction: DESC }, first: 10) {
    totalCount
    totals {
      visits
      tokensIssued
      conversionRate
    }
    nodes {
      visits
      lastVisitAt
      user {
        firstName
        lastName
      }
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
    query: `# The line of a chart: visits by local day,
# and a zero where nobody came.
query Chart($from: Date!, $to: Date!, $timeZone: TimeZone!) {
  dailyUsage(
    filter: { from: $from, to: $to }
    timeZone: $timeZone
    basis: USED_AT
    gaps: ZERO
  ) {
    startsAtMillis
    visits
    uniqueVisitors
  }
}
`,
    variables: JSON.stringify(lastDays(28), null, 2),
  },
  {
    query: `# This month against the last one, week by week,
# and the same weeks a year ago.
query Compare {
  usage(granularity: WEEK, filter: { range: THIS_MONTH }) {
    buckets {
      label
      visits
      uniqueVisitors
      isPartial
    }
    totals {
      visits
      uniqueVisitors
    }
    previous {
      from
      to
      changeRatio {
        visits
        uniqueVisitors
      }
      buckets {
        label
        visits
      }
    }
    lastYear: previous(compareTo: PREVIOUS_YEAR) {
      totals {
        visits
      }
    }
  }
}
`,
  },
  {
    query: `# When is the space busy? The five busiest
# hours of the week, and what to expect then.
query Busy($timeZone: TimeZone!) {
  heatmap(
    filter: { range: LAST_90_DAYS }
    timeZone: $timeZone
    basis: USED_AT
  ) {
    peakHours(first: 5) {
      weekday
      hour
      average
      share
    }
  }
}
`,
    variables: JSON.stringify({ timeZone: lastDays(1).timeZone }, null, 2),
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
  }
}
`,
  },
  {
    query: `# Who comes back? Members by the month in
# which they joined, and how many came in each
# month after.
query Cohorts {
  retention(periods: 3) {
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
    query: `# Whom to write to: active members who came
# before, and not in the last 30 days.
query Lapsing {
  members(
    segment: LAPSING
    filter: { isActive: true }
    orderBy: { field: LAST_VISIT_AT, direction: DESC }
    first: 20
  ) {
    totalCount
    nodes {
      daysSinceLastVisit
      visits
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
    query: `# What becomes of door codes, and how long
# does it take? In seconds.
query Funnel {
  tokenFunnel(filter: { range: LAST_30_DAYS }) {
    issued
    used
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

// Today and the days before it on the visitor's own calendar, which UTC's may be a day off from.
function lastDays(days) {
  const now = new Date();
  const date = (ago) => {
    const day = new Date(Date.UTC(now.getFullYear(), now.getMonth(), now.getDate() - ago));
    return day.toISOString().slice(0, 10);
  };
  const timeZone = Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';
  return { from: date(days - 1), to: date(0), timeZone };
}

ReactDOM.createRoot(document.getElementById('graphiql')).render(
  React.createElement(GraphiQL, {
    fetcher: GraphiQL.createFetcher({ url: '/graphql', subscriptionUrl: `${origin.replace('http', 'ws')}/graphql/ws` }),
    defaultTabs: examples,
    defaultEditorToolsVisibility: 'variables',
  }),
);
