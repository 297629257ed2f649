'use strict';
// @socket.io/redis-emitter: a program without Socket.IO servers that sends to their users. It speaks to the plain
// adapter only, here through a node that any of the servers may use.

const assert = require('node:assert/strict');
const { Emitter } = require('@socket.io/redis-emitter');
const { assertOnly, everybody, idsOf, membersBecome } = require('./operations');
const { libraries } = require('./libraries');
const { ANSWER_MS } = require('./servers');
const { until } = require('../../clients/tap');

const operations = [];

function operation(name, body) {
  operations.push({
    name: `emitter: ${name}`,
    body: async (context) => {
      const connection = await libraries[context.library](context.nodes[2].address);
      context.t.after(async () => connection.close());
      await body({ ...context, emitter: new Emitter(connection.pub) });
    },
    only: ({ adapter }) => adapter === 'plain',
  });
}

operation('broadcasts, rooms, except and volatile', async ({ trio, users, emitter }) => {
  await trio.join('red', users.a1, users.b1, users.c1);
  emitter.emit('news', 1, Buffer.from([0, 255]));
  await assertOnly(trio, everybody, ['news', 1, Buffer.from([0, 255])]);
  emitter.to('red').emit('news', 2);
  await assertOnly(trio, ['a1', 'b1', 'c1'], ['news', 2]);
  emitter.except('red').volatile.emit('news', 3);
  await assertOnly(trio, ['a2', 'b2', 'c2'], ['news', 3]);
});

operation('socketsJoin, socketsLeave, disconnectSockets', async ({ trio, users, emitter, A }) => {
  await trio.join('odd', users.a1, users.b1, users.c1);
  emitter.in('odd').socketsJoin('red');
  await membersBecome(trio, 'red', ['a1', 'b1', 'c1']);
  emitter.in(users.b1.id).socketsLeave('red');
  await membersBecome(trio, 'red', ['a1', 'c1']);
  emitter.in('red').disconnectSockets();
  await until(ANSWER_MS, 'two are disconnected',
    () => users.a1.client.disconnected && users.c1.client.disconnected, 2);
  assert.equal(idsOf(await A.io.fetchSockets()).length, 4);
});

operation('serverSideEmit reaches every server', async ({ emitter, A, B, C }) => {
  const got = [];
  for (const server of [A, B, C]) server.io.on('hello', (what) => got.push([server.name, what]));
  emitter.serverSideEmit('hello', 'world');
  await until(ANSWER_MS, 'all three have it', () => got.length >= 3, 2);
  assert.deepEqual(got.sort(), ['A', 'B', 'C'].map((name) => [name, 'world']));
});

module.exports = { operations };
