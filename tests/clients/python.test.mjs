// Python's gql: the tests are in gql_client.py.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { PATIENCE, serve } from './gateway.mjs';
import { fromHere, run } from './tools.mjs';

const python = fromHere('../../target/clients-venv/bin/python3');

const uri = serve();

test('gql: variables, errors with their codes, the schema', { timeout: 4 * PATIENCE }, async () => {
  assert.ok(existsSync(python), `${python} is missing; run \`make client-test\``);
  await run(python, [fromHere('gql_client.py'), '--verbose'], { env: { GATEWAY_URL: uri() }, timeout: 3 * PATIENCE });
});
