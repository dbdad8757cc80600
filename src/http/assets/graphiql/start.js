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
    query: `# Which active members stopped coming?
# None of them came in the last four weeks.
query StoppedComing($before: Date!) {
  userVisits(
    filter: { isActive: true, lastVisitBefore: $before }
    orderBy: { field: LAST_VISIT_AT, direction: ASC }
    first: 20
  ) {
    totalCount
    nodes {
      userId
      visits
      lastVisitAt
      user {
        firstName
        lastName
      }
    }
  }
}
`,
    variables: JSON.stringify({ before: lastDays(28).from }, null, 2),
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
