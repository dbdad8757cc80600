// Apollo Client, as web applications use it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApolloClient, CombinedGraphQLErrors, gql, HttpLink, InMemoryCache } from '@apollo/client';
import { BatchHttpLink } from '@apollo/client/link/batch-http';
import { createPersistedQueryLink } from '@apollo/client/link/persisted-queries';
import * as shared from './clients.mjs';
import { PATIENCE, serve } from './gateway.mjs';

const uri = serve({ BATCH_MAX: '3' });

function connect({ wire = new shared.Wire(), http, persisted } = {}) {
  const link = new HttpLink({ uri: uri(), fetch: wire.fetch, ...http });
  const client = new ApolloClient({
    cache: new InMemoryCache(),
    link: persisted ? createPersistedQueryLink({ sha256: shared.sha256, ...persisted }).concat(link) : link,
  });
  return { client, wire };
}

async function askNewYear(client, name) {
  const { data, error } = await client.query({ query: gql(shared.newYear(name)), variables: shared.variables });
  assert.ifError(error);
  assert.deepEqual(shared.withoutTypenames(data), shared.answer);
}

for (const [http, method] of [[{}, 'POST'], [{ useGETForQueries: true }, 'GET']]) {
  test(`a query with variables, by ${method}`, { timeout: PATIENCE }, async () => {
    const { client, wire } = connect({ http });
    await askNewYear(client, 'Plain');
    assert.deepEqual(wire.methods, [method]);
    assert.deepEqual(wire.exchanges[0].sent.variables, shared.variables);
    // Members are normalized: what the cache knows is not asked again.
    await askNewYear(client, 'Plain');
    assert.deepEqual(wire.methods, [method]);
    assert.ok(client.cache.extract()['User:1']);
  });
}

test('an error of a field is thrown with its code', { timeout: PATIENCE }, async () => {
  const error = await connect().client.query({ query: gql(shared.HALF_WRONG) }).catch((error) => error);
  assert.ok(CombinedGraphQLErrors.is(error), error);
  shared.assertHalfWrong(error.errors);
  assert.deepEqual(shared.withoutTypenames(error.data), shared.halfAnswer);
});

test('with errorPolicy all it comes beside the other fields', { timeout: PATIENCE }, async () => {
  const { data, error } = await connect().client.query({ query: gql(shared.HALF_WRONG), errorPolicy: 'all' });
  assert.deepEqual(shared.withoutTypenames(data), shared.halfAnswer);
  shared.assertHalfWrong(error.errors);
});

test('an invalid document is thrown with its code, not as a failure of the network', { timeout: PATIENCE }, async () => {
  const { client, wire } = connect();
  const error = await client.query({ query: gql(shared.UNKNOWN_FIELD) }).catch((error) => error);
  assert.ok(CombinedGraphQLErrors.is(error), error);
  shared.assertUnknownField(error.errors);
  assert.equal(wire.exchanges[0].status, 400);
});

for (const [persisted, methods] of [[{}, ['POST', 'POST', 'POST']], [{ useGETForHashedQueries: true }, ['GET', 'POST', 'GET']]]) {
  test(`persisted queries, hashes by ${methods[0]}`, { timeout: PATIENCE }, async () => {
    const wire = new shared.Wire();
    for (let visitor = 0; visitor < 2; visitor++) await askNewYear(connect({ wire, persisted }).client, `Persisted${methods[0]}`);
    assert.deepEqual(wire.methods, methods);
    shared.assertPersisted(wire.exchanges);
  });
}

test('a batch: each answer comes to its question, and each fails alone', { timeout: PATIENCE }, async () => {
  const wire = new shared.Wire();
  const link = new BatchHttpLink({ uri: uri(), fetch: wire.fetch, batchMax: 3 });
  const client = new ApolloClient({ cache: new InMemoryCache(), link });
  const [first, wrong, last] = await Promise.allSettled([
    askNewYear(client, 'First'),
    client.query({ query: gql(shared.UNKNOWN_FIELD) }),
    client.query({ query: gql('{ heatmap { cells { weekday } } }') }),
  ]);
  assert.equal(first.status, 'fulfilled', first.reason);
  shared.assertUnknownField(wrong.reason.errors);
  assert.equal(last.value.data.heatmap.cells.length, 168);
  assert.equal(wire.methods.length, 1);
});
