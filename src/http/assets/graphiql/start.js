'use strict';

// What an analyst meets first: one tab a question. A visitor's own tabs, once there are any, win.
const examples = [
  {
    query: `# How busy was the space, day by day? The last row is today: still partial.
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
    query: `# Who comes most often? Page on with "after": pageInfo.endCursor.
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
    query: `# A line for a chart: local days, counted when the door opened, every day of the range filled.
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
    query: `# Who stopped coming? Active members whose last visit is more than four weeks ago.
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
];

function lastDays(days) {
  const isoDate = (date) => date.toISOString().slice(0, 10);
  const today = new Date();
  const from = new Date(today.getTime() - (days - 1) * 24 * 60 * 60 * 1000);
  const timeZone = Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';
  return { from: isoDate(from), to: isoDate(today), timeZone };
}

ReactDOM.createRoot(document.getElementById('graphiql')).render(
  React.createElement(GraphiQL, {
    fetcher: GraphiQL.createFetcher({ url: '/graphql' }),
    defaultTabs: examples,
    defaultEditorToolsVisibility: 'variables',
  }),
);
