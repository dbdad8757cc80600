// The gateway as a part of a larger graph: composed with a second subgraph, and answered through a gateway of such graphs.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { getStitchedSchemaFromSupergraphSdl } from '@graphql-tools/federation';
import { composeServices, compositionHasErrors } from '@theguild/federation-composition';
import { buildSchema, execute, parse, print } from 'graphql';
import { Gateway, PATIENCE } from './gateway.mjs';

let gateway;
before(async () => (gateway = await Gateway.start({ FEDERATION: 'on' })), { timeout: 3 * PATIENCE });
after(() => gateway?.stop(), { timeout: 2 * PATIENCE });

const ask = async (query, variables) => {
  const body = JSON.stringify({ query, variables });
  const answer = await fetch(`${gateway.base}/graphql`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  return answer.json();
};

// A billing service, which knows what members pay, and refers to them by id.
const BILLING = `extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key"])
  type Query { invoices: [Invoice!]! }
  type Invoice { number: Int! member: User! }
  type User @key(fields: "id") { id: Int! plan: String! }`;
const billing = buildSchema(`scalar _Any union _Entity = User
  type Query { invoices: [Invoice!]! _entities(representations: [_Any!]!): [_Entity]! }
  type Invoice { number: Int! member: User! }
  type User { id: Int! plan: String! }`);
const user = (id) => ({ __typename: 'User', id, plan: id % 2 ? 'part-time' : 'full-time' });
const answers = {
  invoices: () => [1, 2].map((id, number) => ({ number, member: user(id) })),
  _entities: ({ representations }) => representations.map(({ id }) => user(id)),
};

test('the larger graph composes, and an answer has the data of both parts', { timeout: PATIENCE }, async () => {
  const { data } = await ask('{ _service { sdl } }');
  const composed = composeServices([
    { name: 'coworking', url: 'http://coworking', typeDefs: parse(data._service.sdl) },
    { name: 'billing', url: 'http://billing', typeDefs: parse(BILLING) },
  ]);
  assert.ok(!compositionHasErrors(composed), JSON.stringify(composed.errors));
  const asked = [];
  const schema = getStitchedSchemaFromSupergraphSdl({
    supergraphSdl: composed.supergraphSdl,
    onSubschemaConfig: (part) => {
      const isOurs = part.endpoint === 'http://coworking';
      part.executor = ({ document, variables }) => {
        asked.push(part.endpoint);
        if (isOurs) return ask(print(document), variables);
        return execute({ schema: billing, document, rootValue: answers, variableValues: variables });
      };
    },
  });
  const through = async (query) => JSON.parse(JSON.stringify(await execute({ schema, document: parse(query) })));

  // From the other part to this one.
  const { data: known } = await ask('{ members(first: 1000) { nodes { userId user { firstName joinedAt } } } }');
  const member = (id) => known.members.nodes.find(({ userId }) => userId === id).user;
  const invoices = await through('{ invoices { number member { id plan firstName joinedAt } } }');
  assert.equal(invoices.errors, undefined, JSON.stringify(invoices.errors));
  assert.deepEqual(invoices.data.invoices, [
    { number: 0, member: { ...user(1), ...member(1), __typename: undefined } },
    { number: 1, member: { ...user(2), ...member(2), __typename: undefined } },
  ].map((invoice) => JSON.parse(JSON.stringify(invoice))));
  assert.equal(asked.filter((part) => part === 'http://coworking').length, 1, 'all members at once');

  // From this part to the other one.
  const top = await through(`{ userVisits(first: 3, orderBy: { field: VISITS, direction: DESC }) {
    nodes { userId visits user { firstName plan } } } }`);
  assert.equal(top.errors, undefined);
  for (const { userId, user: of } of top.data.userVisits.nodes)
    assert.deepEqual(of, { firstName: member(userId).firstName, plan: user(userId).plan });
});
