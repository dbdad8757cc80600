// What the tests of client libraries share: a question whose answer is known, and an ear on the wire.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';

// Years before the sample's first token, so that every value is known.
const NEW_YEAR = `($filter: DailyUsageFilterInput, $timeZone: TimeZone!, $userIds: [Int!]) {
  dailyUsage(filter: $filter, timeZone: $timeZone, gaps: ZERO) { date startsAt startsAtMillis visits conversionRate isPartial }
  userVisits(filter: { userIds: $userIds, includeUsersWithoutVisits: true }) { totalCount nodes { userId user { id } } }
}`;

// Named by the test: a document that another test sent would be known to the server already.
export const newYear = (name) => `query ${name}${NEW_YEAR}`;

export const variables = {
  filter: { from: '2000-12-31', to: '2001-01-02', weekdays: ['MONDAY', 'TUESDAY'] },
  timeZone: 'Europe/Berlin',
  userIds: [2, 1],
};

export const answer = {
  dailyUsage: [
    { date: '2001-01-01', startsAt: '2000-12-31T23:00:00Z', startsAtMillis: 978303600000, visits: 0, conversionRate: null, isPartial: false },
    { date: '2001-01-02', startsAt: '2001-01-01T23:00:00Z', startsAtMillis: 978390000000, visits: 0, conversionRate: null, isPartial: false },
  ],
  userVisits: { totalCount: 2, nodes: [{ userId: 1, user: { id: 1 } }, { userId: 2, user: { id: 2 } }] },
};

export const HALF_WRONG = 'query HalfWrong { dailyUsage(first: 0) { date } userVisits(filter: { userIds: [1] }) { totalCount } }';
export const halfAnswer = { dailyUsage: null, userVisits: { totalCount: 1 } };

// What `HALF_WRONG` has wrong, as every client should hand it on.
export function assertHalfWrong(errors) {
  assert.equal(errors.length, 1);
  const [{ message, path, extensions }] = errors;
  assert.deepEqual({ message, path, extensions }, {
    message: '`first` is 0; it must be 1 to 8800',
    path: ['dailyUsage'],
    extensions: { argument: 'first', code: 'BAD_USER_INPUT' },
  });
}

export const UNKNOWN_FIELD = 'query UnknownField { dailyUsage { nope } }';

// What `UNKNOWN_FIELD` has wrong.
export function assertUnknownField(errors) {
  assert.deepEqual(errors.map(({ extensions }) => extensions.code), ['GRAPHQL_VALIDATION_FAILED']);
  assert.match(errors[0].message, /"nope".*"DailyUsage"/);
}

// Caching clients ask for type names as well.
export const withoutTypenames = (data) =>
  JSON.parse(JSON.stringify(data, (key, value) => (key === '__typename' ? undefined : value)));

export const sha256 = (text) => createHash('sha256').update(text).digest('hex');

// A `fetch` for a client, and what went over the wire by it.
export class Wire {
  exchanges = [];

  fetch = async (input, init) => {
    const request = new Request(input, init);
    const sent = request.method === 'GET' ? fromUrl(request.url) : await request.clone().json();
    const response = await fetch(request);
    const { status, headers } = response;
    const answer = await response.clone().json();
    this.exchanges.push({ method: request.method, sent, status, type: headers.get('content-type'), answer });
    return response;
  };

  get methods() {
    return this.exchanges.map(({ method }) => method);
  }
}

function fromUrl(url) {
  const { query, variables, extensions } = Object.fromEntries(new URL(url).searchParams);
  const parsed = (text) => text && JSON.parse(text);
  return { query, variables: parsed(variables), extensions: parsed(extensions) };
}

// Automatic persisted queries: a hash nobody knows, the query with it, and the hash alone again.
export function assertPersisted([unknown, stored, known, ...more]) {
  assert.deepEqual(more, []);
  const hashed = ({ sent }) => sent.extensions.persistedQuery.sha256Hash;
  assert.deepEqual([unknown.sent.query, known.sent.query], [undefined, undefined]);
  assert.deepEqual([unknown, stored, known].map(hashed), Array(3).fill(sha256(stored.sent.query)));
  assert.deepEqual(unknown.answer, {
    errors: [{ message: 'PersistedQueryNotFound', extensions: { code: 'PERSISTED_QUERY_NOT_FOUND' } }],
  });
  assert.deepEqual([unknown.status, stored.status, known.status], [400, 200, 200]);
  assert.match(unknown.type, /^application\/graphql-response\+json/);
  for (const { answer: given } of [stored, known]) assert.deepEqual(withoutTypenames(given), { data: answer });
}
