// urql, by its core that its React, Vue and Svelte flavours share.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cacheExchange, Client, fetchExchange } from '@urql/core';
import { persistedExchange } from '@urql/exchange-persisted';
import * as shared from './clients.mjs';
import { PATIENCE, serve } from './gateway.mjs';

const uri = serve();

function connect({ wire = new shared.Wire(), preferGetMethod = false, persisted } = {}) {
  const exchanges = [cacheExchange, fetchExchange];
  if (persisted) exchanges.splice(1, 0, persistedExchange({ generateHash: async (query) => shared.sha256(query), ...persisted }));
  return { client: new Client({ url: uri(), exchanges, fetch: wire.fetch, preferGetMethod }), wire };
}

async function askNewYear(client, name) {
  const { data, error } = await client.query(shared.newYear(name), shared.variables);
  assert.ifError(error);
  assert.deepEqual(shared.withoutTypenames(data), shared.answer);
}

for (const [preferGetMethod, method] of [[false, 'POST'], ['force', 'GET'], ['within-url-limit', 'GET']]) {
  test(`a query with variables, preferGetMethod ${preferGetMethod}`, { timeout: PATIENCE }, async () => {
    const { client, wire } = connect({ preferGetMethod });
    await askNewYear(client, 'Plain');
    assert.deepEqual(wire.methods, [method]);
    assert.deepEqual(wire.exchanges[0].sent.variables, shared.variables);
  });
}

test('an error of a field comes with its code, beside the other fields', { timeout: PATIENCE }, async () => {
  const { data, error } = await connect().client.query(shared.HALF_WRONG, {});
  assert.deepEqual(shared.withoutTypenames(data), shared.halfAnswer);
  assert.equal(error.networkError, undefined);
  shared.assertHalfWrong(error.graphQLErrors);
});

test('an invalid document comes back with its code, not as a failure of the network', { timeout: PATIENCE }, async () => {
  const { data, error } = await connect().client.query(shared.UNKNOWN_FIELD, {});
  assert.equal(data, undefined);
  assert.equal(error.networkError, undefined);
  assert.equal(error.response.status, 400);
  shared.assertUnknownField(error.graphQLErrors);
});

for (const [preferGetForPersistedQueries, method] of [[false, 'POST'], ['within-url-limit', 'GET']]) {
  test(`persisted queries by ${method}`, { timeout: PATIENCE }, async () => {
    const wire = new shared.Wire();
    const persisted = { preferGetForPersistedQueries };
    for (let visitor = 0; visitor < 2; visitor++) await askNewYear(connect({ wire, persisted }).client, `Persisted${method}`);
    assert.deepEqual(wire.methods, Array(3).fill(method));
    shared.assertPersisted(wire.exchanges);
  });
}
