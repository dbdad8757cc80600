// graphql-request, as scripts and servers use it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ClientError, GraphQLClient } from 'graphql-request';
import * as shared from './clients.mjs';
import { PATIENCE, serve } from './gateway.mjs';

const uri = serve({ BATCH_MAX: '3' });

function connect(options) {
  const wire = new shared.Wire();
  return { client: new GraphQLClient(uri(), { fetch: wire.fetch, ...options }), wire };
}

async function refused(document, status) {
  const error = await connect().client.request(document).catch((error) => error);
  assert.ok(error instanceof ClientError, error);
  assert.equal(error.response.status, status);
  return error.response;
}

for (const method of ['POST', 'GET']) {
  test(`a query with variables, by ${method}`, { timeout: PATIENCE }, async () => {
    const { client, wire } = connect({ method });
    assert.deepEqual(await client.request(shared.newYear('Plain'), shared.variables), shared.answer);
    assert.deepEqual(wire.methods, [method]);
    assert.deepEqual(wire.exchanges[0].sent.variables, shared.variables);
  });
}

test('a raw request has the status and the headers as well', { timeout: PATIENCE }, async () => {
  const { data, errors, status, headers } = await connect().client.rawRequest(shared.newYear('Raw'), shared.variables);
  assert.deepEqual({ data, errors, status }, { data: shared.answer, errors: undefined, status: 200 });
  assert.match(headers.get('x-request-id'), /^[\da-f-]{36}$/);
});

test('an error of a field is thrown with its code, and with the other fields', { timeout: PATIENCE }, async () => {
  const { data, errors } = await refused(shared.HALF_WRONG, 200);
  assert.deepEqual(data, shared.halfAnswer);
  shared.assertHalfWrong(errors);
});

test('an invalid document is thrown with its code', { timeout: PATIENCE }, async () => {
  const { data, errors } = await refused(shared.UNKNOWN_FIELD, 400);
  assert.equal(data, undefined);
  shared.assertUnknownField(errors);
});

test('a batch is answered in its order', { timeout: PATIENCE }, async () => {
  const document = shared.newYear('Batch');
  const answers = await connect().client.batchRequests([
    { document, variables: shared.variables },
    { document: '{ heatmap { cells { weekday } } }' },
  ]);
  assert.deepEqual(answers[0].data, shared.answer);
  assert.equal(answers[1].data.heatmap.cells.length, 168);
  const four = await connect().client.batchRequests(Array(4).fill({ document: '{ __typename }' })).catch((error) => error);
  assert.equal(four.response.status, 413);
});
