// Subscriptions, by the clients that dashboards use and by hand: `graphql-transport-ws` and event streams.
// Source: https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { ApolloClient, CombinedGraphQLErrors, gql, HttpLink, InMemoryCache } from '@apollo/client';
import { createClient as createEventStreamClient } from 'graphql-sse';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import * as shared from './clients.mjs';
import { Gateway, PATIENCE } from './gateway.mjs';

let gateway;
before(async () => (gateway = await Gateway.start()), { timeout: 3 * PATIENCE });
after(() => gateway?.stop(), { timeout: 2 * PATIENCE });

// A day years before the sample's first token: nothing but these tests writes there.
const DAY = '2001-01-02';
const count = (name) => `subscription ${name} {
  dailyUsage(filter: { from: "${DAY}", to: "${DAY}" }, gaps: ZERO) { tokensIssued }
}`;

const issue = () => gateway.issue(`${DAY} 12:00:00`);

const url = ({ base } = gateway) => `${base.replace('http', 'ws')}/graphql/ws`;
const connect = (options = {}) => createClient({ url: url(), webSocketImpl: WebSocket, retryAttempts: 0, ...options });
const issued = ({ data, errors }) => {
  assert.equal(errors, undefined);
  return data.dailyUsage[0].tokensIssued;
};

for (const [name, open] of [
  ['graphql-ws', connect],
  ['graphql-sse', () => createEventStreamClient({ url: `${gateway.base}/graphql`, retryAttempts: 0 })],
]) {
  test(`${name}: the current answer at once, then each that differs`, { timeout: PATIENCE }, async () => {
    const client = open();
    const answers = client.iterate({ query: count('Follow') });
    const before = issued((await answers.next()).value);
    for (let more = 1; more <= 3; more++) {
      issue();
      assert.equal(issued((await answers.next()).value), before + more);
    }
    await answers.return();
    await client.dispose();
  });

  test(`${name}: a query is answered once`, { timeout: PATIENCE }, async () => {
    const client = open();
    const answers = [];
    for await (const answer of client.iterate({ query: shared.newYear('Once'), variables: shared.variables })) answers.push(answer);
    const { data } = answers[0];
    assert.deepEqual(data, { ...shared.answer, dailyUsage: data.dailyUsage });
    assert.equal(answers.length, 1);
    await client.dispose();
  });

  test(`${name}: an error of a field comes beside the data`, { timeout: PATIENCE }, async () => {
    const client = open();
    for await (const { data, errors } of client.iterate({ query: shared.HALF_WRONG })) {
      assert.deepEqual(data, shared.halfAnswer);
      shared.assertHalfWrong(errors);
    }
    await client.dispose();
  });
}

// Without a socket, Apollo Client asks for the parts of a body.
const apollo = () => new ApolloClient({ cache: new InMemoryCache(), link: new HttpLink({ uri: `${gateway.base}/graphql` }) });

test('Apollo Client: the current answer at once, then each that differs', { timeout: PATIENCE }, async () => {
  const answers = [];
  let heard = () => {};
  const followed = apollo().subscribe({ query: gql(count('Parts')) }).subscribe({ next: (answer) => (answers.push(answer), heard()) });
  const next = async () => {
    while (!answers.length) await new Promise((resolve) => (heard = resolve));
    return issued(answers.shift());
  };
  const before = await next();
  for (let more = 1; more <= 3; more++) {
    issue();
    assert.equal(await next(), before + more);
  }
  followed.unsubscribe();
});

test('Apollo Client: an invalid subscription is an error with its code, and the end', { timeout: PATIENCE }, async () => {
  const answers = [];
  const subscription = gql('subscription { dailyUsage { nope } }');
  await new Promise((complete) => apollo().subscribe({ query: subscription }).subscribe({ next: (answer) => answers.push(answer), complete }));
  assert.equal(answers.length, 1);
  assert.ok(CombinedGraphQLErrors.is(answers[0].error), answers[0].error);
  shared.assertUnknownField(answers[0].error.errors);
});

test('the parts of a body: each is complete when it is sent, with signs of life between them', { timeout: PATIENCE }, async () => {
  const abort = new AbortController();
  const ask = (query) =>
    fetch(`${gateway.base}/graphql`, {
      method: 'POST',
      headers: { accept: 'multipart/mixed;boundary=graphql;subscriptionSpec=1.0', 'content-type': 'application/json' },
      body: JSON.stringify({ query }),
      signal: abort.signal,
    });
  const head = '\r\nContent-Type: application/json; charset=utf-8\r\n\r\n';
  const once = await ask('{ heatmap { cells { weekday } } }');
  assert.match(once.headers.get('content-type'), /^multipart\/mixed; boundary="graphql"; subscriptionSpec="1.0"$/);
  const [before, part, end] = (await once.text()).split('\r\n--graphql');
  assert.deepEqual([before, end], ['', '--\r\n']);
  assert.ok(JSON.parse(part.slice(head.length)).payload.data.heatmap);
  const parts = (await ask(count('Alive'))).body.pipeThrough(new TextDecoderStream());
  let text = '';
  for await (const piece of parts) {
    text += piece;
    if (text.endsWith(`${head}{}\r\n--graphql`)) break;
  }
  assert.ok(text.startsWith(`\r\n--graphql${head}{"payload":{"data"`), text);
  abort.abort();
});

test('graphql-ws: an invalid document fails, and leaves the connection to the others', { timeout: PATIENCE }, async () => {
  const client = connect({ lazy: false });
  const followed = client.iterate({ query: count('Beside') });
  const before = issued((await followed.next()).value);
  const refused = client.iterate({ query: 'subscription { dailyUsage { nope } }' });
  await assert.rejects(refused.next(), (errors) => (shared.assertUnknownField(errors), true));
  issue();
  assert.equal(issued((await followed.next()).value), before + 1);
  await client.dispose();
});

test('graphql-sse: an invalid document comes as an answer', { timeout: PATIENCE }, async () => {
  const client = createEventStreamClient({ url: `${gateway.base}/graphql`, retryAttempts: 0 });
  for await (const { errors } of client.iterate({ query: shared.UNKNOWN_FIELD })) shared.assertUnknownField(errors);
});

test('variables, operation names and persisted documents are as over HTTP', { timeout: PATIENCE }, async () => {
  const client = connect();
  const query = `subscription Other { userVisits(filter: { userIds: [1] }) { totalCount } } subscription Named($days: [Weekday!]) {
    dailyUsage(filter: { from: "${DAY}", to: "${DAY}", weekdays: $days }, gaps: ZERO) { date }
  }`;
  const sha256Hash = shared.sha256(query);
  const request = { operationName: 'Named', variables: { days: ['TUESDAY'] }, extensions: { persistedQuery: { version: 1, sha256Hash } } };
  await assert.rejects(client.iterate({ ...request, query: '' }).next(), ([{ message }]) => message === 'PersistedQueryNotFound');
  for (const attempt of [query, '']) {
    const answers = client.iterate({ ...request, query: attempt });
    assert.deepEqual((await answers.next()).value, { data: { dailyUsage: [{ date: DAY }] } });
    await answers.return();
  }
  await client.dispose();
});

// A WebSocket by hand.
class Socket {
  messages = [];

  static async open({ base = gateway.base, introduced = true } = {}) {
    const socket = new Socket();
    socket.wire = new WebSocket(url({ base }), 'graphql-transport-ws');
    socket.closed = once(socket.wire, 'close');
    socket.wire.on('message', (text) => {
      socket.messages.push(JSON.parse(text));
      socket.wire.emit('heard');
    });
    await once(socket.wire, 'open');
    if (introduced) {
      socket.say({ type: 'connection_init' });
      assert.deepEqual(await socket.hear(), { type: 'connection_ack' });
    }
    return socket;
  }

  say(message) {
    this.wire.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  async hear() {
    while (this.messages.length === 0) await once(this.wire, 'heard', { signal: AbortSignal.timeout(PATIENCE) });
    return this.messages.shift();
  }

  async endsWith(expected) {
    const [code, reason] = await this.closed;
    assert.equal(code, expected, String(reason));
    assert.notEqual(String(reason), '');
  }
}

const subscribe = (id, query = count('ByHand')) => ({ id, type: 'subscribe', payload: { query } });

test('pings are answered, pongs are taken', { timeout: PATIENCE }, async () => {
  const socket = await Socket.open();
  socket.say({ type: 'pong' });
  socket.say({ type: 'ping' });
  assert.deepEqual(await socket.hear(), { type: 'pong' });
  socket.say({ type: 'ping', payload: { sent: 1 } });
  assert.deepEqual(await socket.hear(), { type: 'pong', payload: { sent: 1 } });
  socket.wire.ping();
  await once(socket.wire, 'pong');
  socket.wire.close(1000, 'goodbye');
  await socket.endsWith(1000);
});

test('errors of the document are messages, a query is completed, an id can be used again', { timeout: PATIENCE }, async () => {
  const socket = await Socket.open();
  for (const query of ['{', '{ nope }', 'subscription { dailyUsage { nope } }', 'subscription { __typename }',
    'subscription { dailyUsage { date } userVisits { totalCount } }', 'subscription { dailyUsage @skip(if: false) { date } }']) {
    socket.say(subscribe('1', query));
    const { payload, ...message } = await socket.hear();
    assert.deepEqual(message, { id: '1', type: 'error' }, query);
    assert.ok(payload[0].extensions.code.startsWith('GRAPHQL_'), JSON.stringify(payload));
  }
  socket.say(subscribe('1', '{ userVisits(filter: { userIds: [1] }) { totalCount } }'));
  assert.deepEqual(await socket.hear(), { id: '1', type: 'next', payload: { data: { userVisits: { totalCount: 1 } } } });
  assert.deepEqual(await socket.hear(), { id: '1', type: 'complete' });
  socket.wire.close(1000);
});

test('fragments at the root of a subscription are followed', { timeout: PATIENCE }, async () => {
  const socket = await Socket.open();
  const day = `dailyUsage(filter: { from: "${DAY}", to: "${DAY}" }, gaps: ZERO)`;
  socket.say(subscribe('1', `subscription { ...A ... on Subscription { ${day} { weekday: date } } } fragment A on Subscription { ...B } fragment B on Subscription { ${day} { date } }`));
  assert.deepEqual((await socket.hear()).payload, { data: { dailyUsage: [{ date: DAY, weekday: DAY }] } });
  socket.wire.close(1000);
});

test('what was completed is told no more', { timeout: PATIENCE }, async () => {
  const socket = await Socket.open();
  for (const id of ['gone', 'kept']) socket.say(subscribe(id));
  const first = [await socket.hear(), await socket.hear()];
  assert.deepEqual(first.map(({ id, type }) => [id, type]).sort(), [['gone', 'next'], ['kept', 'next']]);
  socket.say({ id: 'gone', type: 'complete' });
  socket.say({ id: 'unknown', type: 'complete' });
  issue();
  assert.equal((await socket.hear()).id, 'kept');
  issue();
  assert.equal((await socket.hear()).id, 'kept');
  assert.deepEqual(socket.messages, []);
  socket.wire.close(1000);
});

test('a connection that does not introduce itself is closed with 4408', { timeout: PATIENCE }, async () => {
  await (await Socket.open({ introduced: false })).endsWith(4408);
});

for (const [what, code, messages, options] of [
  ['another subprotocol', 4406, [], { protocol: 'graphql-ws', introduced: false }],
  ['no JSON', 4400, ['{']],
  ['no object', 4400, ['[]']],
  ['no type', 4400, [{}]],
  ['an unknown type', 4400, [{ type: 'start', id: '1', payload: {} }]],
  ['no id', 4400, [{ type: 'subscribe', payload: { query: '{ __typename }' } }]],
  ['an empty id', 4400, [{ type: 'subscribe', id: '', payload: { query: '{ __typename }' } }]],
  ['a payload of another shape', 4400, [{ type: 'subscribe', id: '1', payload: { query: 1 } }]],
  ['no payload', 4400, [{ type: 'subscribe', id: '1' }]],
  ['a complete without an id', 4400, [{ type: 'complete' }]],
  ['a subscription before the introduction', 4401, [subscribe('1')], { introduced: false }],
  ['a second introduction', 4429, [{ type: 'connection_init' }]],
  ['an id that is in use', 4409, [subscribe('1'), subscribe('1')]],
  ['a message beyond the limit', 1009, ['x'.repeat(1_048_577)]],
]) {
  test(`${what} closes the connection with ${code}`, { timeout: PATIENCE }, async () => {
    // `ws` insists on the subprotocol that it asked for.
    const socket = options?.protocol ? await rejected(options) : await Socket.open(options);
    if (!socket) return;
    for (const message of messages) socket.say(message);
    await socket.endsWith(code);
  });
}

// Without a subprotocol in common the handshake succeeds without one, and the close says why.
async function rejected({ protocol }) {
  const socket = new Socket();
  socket.wire = new WebSocket(url(), { headers: { 'sec-websocket-protocol': protocol } });
  socket.closed = once(socket.wire, 'close');
  socket.wire.on('error', () => {});
  return socket;
}

test('a page of another site gets no connection', { timeout: PATIENCE }, async () => {
  const wire = new WebSocket(url(), 'graphql-transport-ws', { origin: 'https://elsewhere.example' });
  const [error] = await once(wire, 'error');
  assert.match(error.message, /403/);
});

test('operations beyond the limit of a connection are refused', { timeout: PATIENCE }, async () => {
  const socket = await Socket.open();
  for (let id = 0; id < 33; id++) socket.say(subscribe(String(id)));
  const messages = [];
  while (messages.length < 33) messages.push(await socket.hear());
  const errors = messages.filter(({ type }) => type === 'error');
  assert.deepEqual(errors.map(({ id, payload }) => [id, payload[0].extensions]), [['32', { code: 'LIMIT_EXCEEDED', limit: 'subscriptions', maximum: 32 }]]);
  socket.wire.close(1000);
});

test('a stop closes connections politely, and does not wait for those who stay', { timeout: 2 * PATIENCE }, async () => {
  const other = await Gateway.start();
  const socket = await Socket.open({ base: other.base });
  socket.say(subscribe('1'));
  assert.equal((await socket.hear()).type, 'next');
  const stream = await fetch(`${other.base}/graphql?query=${encodeURIComponent(count('Stopped'))}`, { headers: { accept: 'text/event-stream' } });
  const events = stream.text();
  await Promise.all([other.stop(), socket.endsWith(1001)]);
  assert.match(await events, /^event: next\ndata: [^\n]+\n\n$/, 'no `complete`, so that clients connect again');
});
