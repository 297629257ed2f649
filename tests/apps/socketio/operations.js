'use strict';
// Every operation that the documentation of Socket.IO's Redis adapters promises, as a function of three servers
// on three nodes. Each is run with every configuration in socketio.js.
//
// What must not arrive is checked without waiting for a while: assertOnly() waits for receivers at each server, whose
// event proves that the server has handled the broadcast, and then flushes what the server had emitted.

const assert = require('node:assert/strict');
const { ANSWER_MS, User } = require('./servers');
const { REQUESTS_TIMEOUT_MS, isPlain } = require('./libraries');
const { until, within } = require('../../clients/tap');

const ACKS_TIMEOUT_MS = 1000;

const operations = [];

/** only: a configuration's predicate, where an operation exists in one of the adapters only. */
function operation(name, body, only = () => true) {
  operations.push({ name, body, only });
}

const everybody = ['a1', 'a2', 'b1', 'b2', 'c1', 'c2'];

async function assertOnly(trio, names, event) {
  const { got, want } = await trio.onlyReceive(names, event);
  assert.deepEqual(got, want);
}

const ids = (users) => users.map((user) => user.id).sort();
const idsOf = (sockets) => sockets.map((socket) => socket.id).sort();

operation('a broadcast reaches every user of every server once', async ({ trio, A, B }) => {
  A.io.emit('news', 1, { two: ['3', null] });
  await assertOnly(trio, everybody, ['news', 1, { two: ['3', null] }]);
  B.io.emit('news');
  await assertOnly(trio, everybody, ['news']);
});

operation('socket.broadcast reaches everybody but the sender', async ({ trio, users, B }) => {
  B.socketOf(users.b1).broadcast.emit('news', 'x');
  await assertOnly(trio, everybody.filter((name) => name !== 'b1'), ['news', 'x']);
});

operation('a room reaches its members on all servers and nobody else', async ({ trio, users, A }) => {
  await trio.join('red', users.a1, users.b1, users.c1);
  A.io.to('red').emit('news', 'red');
  await assertOnly(trio, ['a1', 'b1', 'c1'], ['news', 'red']);
});

operation('socket.to(room) leaves the sender out', async ({ trio, users, C }) => {
  await trio.join('red', users.a1, users.b2, users.c1, users.c2);
  C.socketOf(users.c1).to('red').emit('news', 'red');
  await assertOnly(trio, ['a1', 'b2', 'c2'], ['news', 'red']);
});

operation('a user in two of the rooms is sent one event', async ({ trio, users, A }) => {
  await trio.join('red', users.a1, users.b1, users.c1);
  await trio.join('blue', users.b1, users.c2);
  A.io.to('red').to('blue').emit('news', 'both');
  await assertOnly(trio, ['a1', 'b1', 'c1', 'c2'], ['news', 'both']);
});

operation('except leaves rooms and single users out', async ({ trio, users, A }) => {
  await trio.join('red', users.a1, users.b1);
  A.io.except('red').except(users.c2.id).emit('news', 1);
  await assertOnly(trio, ['a2', 'b2', 'c1'], ['news', 1]);
  await trio.join('blue', users.a1, users.b1, users.b2, users.c1);
  A.io.to('blue').except(users.b1.id).emit('news', 2);
  await assertOnly(trio, ['a1', 'b2', 'c1'], ['news', 2]);
});

operation('local reaches the users of this server only', async ({ trio, A }) => {
  A.io.local.emit('news', 'local');
  A.io.emit('news', 'all'); // on the channel that "local" would have used, so behind it everywhere
  for (const user of Object.values(trio.users)) {
    const want = user.name[0] === 'a' ? [['news', 'local'], ['news', 'all']] : [['news', 'all']];
    await user.receives(want.length);
    assert.deepEqual(user.received, want, user.name);
  }
});

operation("a user of another server is reached by its socket's id", async ({ trio, users, A }) => {
  A.io.to(users.c2.id).emit('private', 'psst');
  await assertOnly(trio, ['c2'], ['private', 'psst']);
});

operation('rooms may have any name', async ({ trio, users, B }) => {
  for (const room of ['a b', 'é☃', '{tag}:x', '*', 'h?[x]', 'a\\*', '#', '', 'x'.repeat(300), 7]) {
    await trio.join(room, users.a1, users.c1);
    B.io.to(room).emit('news', room);
    await assertOnly(trio, ['a1', 'c1'], ['news', room]);
  }
});

operation('what one server emits arrives in order at all', async ({ trio, users, A }) => {
  await trio.join('red', users.a1, users.b1, users.c1);
  const sent = Array.from({ length: 100 }, (_, i) => ['news', i]);
  for (const event of sent) A.io.to('red').emit(...event);
  for (const user of [users.a1, users.b1, users.c1]) await user.receives(sent.length);
  await trio.flush();
  for (const user of [users.a1, users.b1, users.c1]) assert.deepEqual(user.received, sent);
});

operation('binary payloads arrive byte for byte', async ({ trio, A }) => {
  const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
  const large = Buffer.alloc(200000, '*1\r\n$');
  A.io.emit('bytes', all, { nested: [Buffer.alloc(0), 'text', large] });
  await assertOnly(trio, everybody, ['bytes', all, { nested: [Buffer.alloc(0), 'text', large] }]);
});

operation('volatile and compressed broadcasts reach users that are there', async ({ trio, users, A }) => {
  await trio.join('red', users.b1, users.c1);
  A.io.volatile.emit('news', 'volatile');
  await assertOnly(trio, everybody, ['news', 'volatile']);
  A.io.to('red').compress(true).emit('news', 'compressed');
  await assertOnly(trio, ['b1', 'c1'], ['news', 'compressed']);
});

operation('fetchSockets returns all sockets of the cluster with their data, rooms and handshake',
  async ({ trio, users, B }) => {
    await trio.join('red', users.a1);
    const sockets = await B.io.fetchSockets();
    assert.deepEqual(idsOf(sockets), ids(Object.values(users)));
    const a1 = sockets.find((socket) => socket.id === users.a1.id);
    assert.deepEqual(a1.data, { user: 'a1' });
    assert.deepEqual([...a1.rooms].sort(), ['red', users.a1.id].sort());
    assert.equal(a1.handshake.auth.user, 'a1');
  });

operation('fetchSockets follows rooms, except and local', async ({ trio, users, A }) => {
  await trio.join('red', users.a1, users.b1, users.c1);
  assert.deepEqual(idsOf(await A.io.in('red').fetchSockets()), ids([users.a1, users.b1, users.c1]));
  assert.deepEqual(idsOf(await A.io.in('red').except(users.b1.id).fetchSockets()), ids([users.a1, users.c1]));
  assert.deepEqual(idsOf(await A.io.local.fetchSockets()), ids([users.a1, users.a2]));
  assert.deepEqual(await A.io.in('nobody').fetchSockets(), []);
});

operation('a user that left is not fetched any more', async ({ users, A, C }) => {
  users.c1.disconnect();
  await until(ANSWER_MS, 'C has seen it', () => !C.socketOf(users.c1), 2);
  const left = Object.values(users).filter((user) => user !== users.c1);
  assert.deepEqual(idsOf(await A.io.fetchSockets()), ids(left));
});

operation('a fetched socket of another server can be sent to, asked, moved and disconnected',
  async ({ trio, users, A, C }) => {
    const [remote] = await A.io.in(users.c1.id).fetchSockets();
    remote.emit('private', 1);
    await assertOnly(trio, ['c1'], ['private', 1]);
    users.c1.client.on('question', (number, answer) => answer(number + 1));
    assert.equal(await remote.timeout(ANSWER_MS).emitWithAck('question', 1), 2);
    remote.join('red');
    await until(ANSWER_MS, 'c1 is in the room', () => C.socketOf(users.c1).rooms.has('red'), 2);
    remote.leave('red');
    await until(ANSWER_MS, 'c1 is out of the room', () => !C.socketOf(users.c1).rooms.has('red'), 2);
    remote.disconnect();
    await until(ANSWER_MS, 'c1 is disconnected', () => users.c1.client.disconnected, 2);
  });

const roomsOf = (trio, name) => trio.servers.find((server) => server.name.toLowerCase() === name[0])
  .socketOf(trio.users[name]).rooms;

async function membersBecome(trio, room, names) {
  await until(ANSWER_MS, `the members of ${room}`, () => {
    assert.deepEqual(everybody.filter((name) => roomsOf(trio, name).has(room)), names);
    return true;
  }, 2);
}

operation('socketsJoin moves users of all servers into rooms', async ({ trio, users, A, B }) => {
  A.io.socketsJoin(['red', 'green']);
  await membersBecome(trio, 'red', everybody);
  await membersBecome(trio, 'green', everybody);
  await trio.join('odd', users.a1, users.b1, users.c1);
  B.io.in('odd').except(users.b1.id).socketsJoin('blue');
  await membersBecome(trio, 'blue', ['a1', 'c1']);
  await trio.settled();
  B.io.to('blue').emit('news', 'blue');
  await assertOnly(trio, ['a1', 'c1'], ['news', 'blue']);
});

operation('socketsLeave moves users of all servers out of rooms', async ({ trio, users, A, C }) => {
  await trio.join('red', ...Object.values(users));
  await trio.join('odd', users.a1, users.b1, users.c1);
  C.io.in('odd').socketsLeave('red');
  await membersBecome(trio, 'red', ['a2', 'b2', 'c2']);
  A.io.to('red').emit('news', 'red');
  await assertOnly(trio, ['a2', 'b2', 'c2'], ['news', 'red']);
});

operation('disconnectSockets ends users of all servers, with or without their connection',
  async ({ trio, users, A, B }) => {
    const reasons = {};
    for (const user of Object.values(users)) user.client.on('disconnect', (why) => (reasons[user.name] = why));
    await trio.join('red', users.b1, users.c1);
    A.io.in('red').disconnectSockets();
    await until(ANSWER_MS, 'b1 and c1 are disconnected', () => Object.keys(reasons).length === 2, 2);
    assert.deepEqual(reasons, { b1: 'io server disconnect', c1: 'io server disconnect' });
    assert.deepEqual(idsOf(await B.io.fetchSockets()), ids([users.a1, users.a2, users.b2, users.c2]));
    B.io.disconnectSockets(true);
    await until(ANSWER_MS, 'all are disconnected', () => Object.keys(reasons).length === 6, 2);
    assert.deepEqual(await A.io.fetchSockets(), []);
  });

operation('serverSideEmit reaches the other servers and not the sender', async ({ A, B, C }) => {
  const got = [];
  for (const server of [A, B, C]) server.io.on('hello', (...args) => got.push([server.name, ...args]));
  A.io.serverSideEmit('hello', 1, { two: 2 });
  await until(ANSWER_MS, 'B and C have it', () => got.length >= 2, 2);
  B.io.serverSideEmit('hello', 3); // behind the first one: had A got it, it would be here before this
  await until(ANSWER_MS, 'A and C have it', () => got.length >= 4, 2);
  assert.deepEqual(got.sort(), [['A', 3], ['B', 1, { two: 2 }], ['C', 1, { two: 2 }], ['C', 3]]);
});

operation('serverSideEmit collects the answer of every other server', async ({ A, B, C }) => {
  for (const server of [A, B, C]) server.io.on('who', (number, answer) => answer([server.name, number]));
  assert.deepEqual((await C.io.serverSideEmitWithAck('who', 7)).sort(), [['A', 7], ['B', 7]]);
  assert.deepEqual((await A.io.serverSideEmitWithAck('who', 8)).sort(), [['B', 8], ['C', 8]]);
});

operation('serverSideEmit times out with the answers that came', async ({ A, B, C }) => {
  B.io.on('who', (answer) => answer('B'));
  C.io.on('who', () => {}); // never answers
  const begin = Date.now();
  const [error, answers] = await within(10000, 'the time-out', new Promise((resolve) => {
    A.io.serverSideEmit('who', (...result) => resolve(result));
  }));
  assert.match(error.message, /timeout reached: only 1 responses received out of 2/);
  assert.deepEqual(answers, ['B']);
  assert.ok(Date.now() - begin >= REQUESTS_TIMEOUT_MS - 5);
}, ({ adapter, waitsForTimeouts }) => isPlain(adapter) || waitsForTimeouts);

operation('a broadcast with acknowledgements collects those of all users of all servers',
  async ({ trio, users, A, B }) => {
    for (const user of Object.values(users)) user.client.on('question', (what, answer) => answer([user.name, what]));
    assert.deepEqual((await A.io.timeout(ANSWER_MS).emitWithAck('question', 1)).sort(),
      everybody.map((name) => [name, 1]));
    await trio.join('red', users.a1, users.c1);
    assert.deepEqual((await B.io.to('red').timeout(ANSWER_MS).emitWithAck('question', 2)).sort(),
      [['a1', 2], ['c1', 2]]);
    assert.deepEqual((await B.socketOf(users.b1).broadcast.timeout(ANSWER_MS).emitWithAck('question', 3)).sort(),
      everybody.filter((name) => name !== 'b1').map((name) => [name, 3]));
    assert.deepEqual(await B.io.to('nobody').timeout(ANSWER_MS).emitWithAck('question', 4), []);
  });

operation('acknowledgements may be binary', async ({ users, A }) => {
  for (const user of Object.values(users)) user.client.on('question', (bytes, answer) => answer(Buffer.from(bytes)));
  const answers = await A.io.timeout(ANSWER_MS).emitWithAck('question', Buffer.from([0, 255, 13, 10]));
  assert.deepEqual(answers, everybody.map(() => Buffer.from([0, 255, 13, 10])));
});

operation('a broadcast with acknowledgements times out with those that came', async ({ users, A }) => {
  for (const user of Object.values(users)) {
    user.client.on('question', (answer) => (user === users.c2 ? undefined : answer(user.name)));
  }
  const [error, answers] = await within(ANSWER_MS, 'the time-out', new Promise((resolve) => {
    A.io.timeout(ACKS_TIMEOUT_MS).emit('question', (...result) => resolve(result));
  }));
  assert.match(error.message, /operation has timed out/);
  assert.deepEqual(answers.sort(), everybody.filter((name) => name !== 'c2'));
});

operation('serverCount counts the servers of the cluster at each of them', async ({ A, B, C }) => {
  assert.deepEqual(await Promise.all([A, B, C].map((server) => server.serverCount())), [3, 3, 3]);
});

operation('allRooms lists the rooms of all servers', async ({ trio, users, B }) => {
  await trio.join('red', users.a1, users.c1);
  await trio.join('blue', users.b1);
  const rooms = [...await B.io.of('/').adapter.allRooms()].sort();
  assert.deepEqual(rooms, [...ids(Object.values(users)), 'red', 'blue'].sort());
}, ({ adapter }) => isPlain(adapter));

operation('namespaces, also dynamic ones, are apart from each other', async ({ t, trio, A, B, C, namespace }) => {
  for (const server of [A, B, C]) {
    server.io.of(new RegExp(`^${namespace}-\\d+$`)).on('connection', (socket) => socket.join('red'));
  }
  const [one, two] = await Promise.all([1, 2].map((number) => Promise.all([A, B, C].map(async (server) => {
    const user = await User.connect(server.port, {
      user: `${server.name}${number}`, namespace: `${namespace}-${number}`,
    });
    t.after(async () => user.disconnect());
    return user;
  }))));
  await trio.settled();
  A.io.of(`${namespace}-1`).to('red').emit('news', 1);
  B.io.of(`${namespace}-2`).emit('news', 2);
  for (const [users, want] of [[one, 1], [two, 2]]) {
    for (const user of users) await user.receives(1);
    assert.deepEqual(users.map((user) => user.received), users.map(() => [['news', want]]));
  }
  assert.deepEqual(idsOf(await C.io.of(`${namespace}-1`).fetchSockets()), ids(one));
  assert.equal(await B.serverCount(`${namespace}-2`), 3);
  await trio.flush();
  for (const user of Object.values(trio.users)) assert.deepEqual(user.received, [], 'nothing in the main namespace');
});

module.exports = { assertOnly, everybody, ids, idsOf, membersBecome, operations };
