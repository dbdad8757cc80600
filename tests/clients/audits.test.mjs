// GraphQL over HTTP, by the official audits: every one, the recommendations included.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { serverAudits } from 'graphql-http';
import { Gateway, PATIENCE } from './gateway.mjs';

let gateway;

before(async () => (gateway = await Gateway.start()), { timeout: 2 * PATIENCE });
after(() => gateway?.stop(), { timeout: 2 * PATIENCE });

const audits = serverAudits({ url: () => `${gateway.base}/graphql`, fetchFn: fetch });

test('all audits are there', () => assert.equal(audits.length, 61));

for (const audit of audits) {
  test(`${audit.id} ${audit.name}`, { timeout: PATIENCE }, async () => {
    const result = await audit.fn();
    assert.equal(result.status, 'ok', result.reason);
  });
}
