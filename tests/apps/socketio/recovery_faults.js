'use strict';
// Connection state recovery through the streams adapter while something dies: the broker, a sidebus, all of them, the
// log itself. A user is away meanwhile, and comes back to another server or to one whose sidebus is new.

const assert = require('node:assert/strict');
const {
  BROKER, BROKER_NAME, Cluster, TARGET, amqplib, brokerForTarget,
} = require('../../clients/harness');
const { note, run, test, until, within } = require('../../clients/tap');
const { ANSWER_MS } = require('./servers');
const { Stage } = require('./stage');
const { STREAM, libraries } = require('./libraries');
const { Talk, assertAll, end, greet, lose, stored } = require('./recovery');

const PARTITIONS = 4;
const LEASE_MS = 3000;
const RECOVERY_MS = 30000;
const SMALL_HISTORY_BYTES = 256 * 1024;
const FAULT = { deadline_ms: 90000 };
const CAN_READ_BACK = BROKER === 'rabbitmq'; // what was before a node came
const configuration = { library: 'ioredis 6', adapter: 'streams' };

let broker;
let cluster;
let stage;

/** Tests of what only sidebus promises: redis-server forgets all when it ends. */
function fault(name, body) {
  test(name, async (t) => {
    if (TARGET === 'redis') t.skip('needs sidebus');
    await body(await stage.contextOf(t, configuration));
  }, FAULT);
}

/** Some talk that the user hears, then its loss, and some that it misses. */
async function talkAndLose(context, ...servers) {
  const { users: { a1 }, A } = context;
  const talk = new Talk(context, { room: 'red', user: a1 });
  await a1.join('red');
  await greet(A, a1);
  talk.say(4);
  await talk.handled();
  await end(talk, A);
  const heard = a1.received.length;
  await lose(a1, ...servers);
  talk.say(8);
  await talk.handled();
  return { talk, a1, heard };
}

fault(`${BROKER_NAME} is killed and back while a user is away: it is sent all it missed`, async (context) => {
  const { B, C } = context;
  const { talk, a1, heard } = await talkAndLose(context, B);
  await broker.kill();
  talk.say(8); // taken by the nodes, and in the log when there is one again
  await broker.restart();
  await talk.handled(RECOVERY_MS);
  assert.equal(await a1.resume(B.port), true);
  await end(talk, C);
  assertAll(talk, heard);
});

fault(`a user that comes back while ${BROKER_NAME} is away waits, and is recovered`, async (context) => {
  const { B, C } = context;
  const { talk, a1, heard } = await talkAndLose(context, B);
  await broker.kill();
  const resumed = a1.resume(B.port, RECOVERY_MS);
  await until(ANSWER_MS, 'its connection is there', () => a1.client.io.engine.readyState === 'open', 2);
  const begin = Date.now();
  await broker.restart();
  const restarted_ms = Date.now() - begin;
  assert.equal(await resumed, true);
  note(`recovered after ${Date.now() - begin} ms, the broker's start took ${restarted_ms} ms`);
  await end(talk, C);
  assertAll(talk, heard);
});

fault(`a user is lost while ${BROKER_NAME} is away: it is recovered when it is back`, async (context) => {
  const { users: { a1 }, A, C } = context;
  const talk = new Talk(context, { room: 'red', user: a1 });
  await a1.join('red');
  await greet(A, a1);
  await broker.kill();
  await a1.drop();
  talk.say(8);
  await broker.restart();
  await stored(a1, C, RECOVERY_MS);
  await talk.handled(RECOVERY_MS);
  assert.equal(await a1.resume(C.port), true);
  await end(talk, A);
  assertAll(talk, 1);
});

for (const [how, finish] of [
  ['killed with -9', (node) => node.kill9()], ['stopped', (node) => node.stop()],
]) {
  fault(`the sidebus of a user is ${how}: it is recovered elsewhere, and there when it is back`, async (context) => {
    const { A, B, C, nodes } = context;
    const { talk, a1, heard } = await talkAndLose(context, B);
    await finish(nodes[0]);
    const comeBack = talk.leaveOut(0);
    talk.say(8);
    await talk.handled();
    assert.equal(await a1.resume(B.port), true);
    await end(talk, C);
    assertAll(talk, heard);

    await lose(a1, C);
    talk.say(8);
    await talk.handled();
    await nodes[0].start();
    comeBack();
    await until(RECOVERY_MS, 'its server is back', async () => await A.connection.pub.ping() === 'PONG');
    talk.say(8);
    await talk.handled(RECOVERY_MS);
    await stored(a1, A);
    const before = a1.received.length;
    assert.equal(await a1.resume(A.port), CAN_READ_BACK, 'the new node knows what was before it, where it can');
    if (!CAN_READ_BACK) assert.equal(a1.received.length, before, 'or nothing is sent, rather than a part');
    if (!CAN_READ_BACK) return;
    await end(talk, C);
    assertAll(talk, heard);
  });
}

for (const [how, finish] of [
  ['killed with -9', (node) => node.kill9()], ['stopped', (node) => node.stop()],
]) {
  fault(`all sidebuses are ${how} and started again while a user is away: it is recovered`, async (context) => {
    const { t, A, B, C, nodes } = context;
    if (!CAN_READ_BACK) t.skip('the log cannot be read back here');
    const { talk, a1, heard } = await talkAndLose(context, B);
    await Promise.all(nodes.map(finish));
    await Promise.all(nodes.map((node) => node.start()));
    await Promise.all([A, B, C].map((server) => until(RECOVERY_MS, 'the servers are back',
      async () => await server.connection.pub.ping() === 'PONG')));
    talk.say(8);
    await talk.handled(RECOVERY_MS);
    await stored(a1, B);
    assert.equal(await a1.resume(B.port), true);
    await end(talk, C);
    assertAll(talk, heard);
  });
}

/** All that servers ask each other is answered. */
async function assertAnswers({ trio: { servers }, t }) {
  for (const { io, name } of servers) io.on('who', (answer) => answer(name));
  await Promise.all(servers.map((server) => until(RECOVERY_MS, `${server.name} counts three`,
    async () => await server.serverCount() === 3, 20)));
  for (const { io, name } of servers) {
    assert.equal((await io.fetchSockets()).length, 6);
    assert.deepEqual((await io.serverSideEmitWithAck('who')).sort(), ['A', 'B', 'C'].filter((other) => other !== name));
  }
  t.after(async () => servers.forEach(({ io }) => io.removeAllListeners('who')));
}

// streams-adapter#32: after a restart of Redis other servers gave no answers to fetchSockets and serverSideEmit, which
// travelled in the stream then; the adapter sends them by PUBLISH since its version 0.3.0.
const BACKPLANE = TARGET === 'redis' ? 'Redis' : BROKER_NAME;
test(`${BACKPLANE} is killed and back: servers answer each other as before (#32)`, async (t) => {
  const context = await stage.contextOf(t, configuration);
  const { users, A } = context;
  await assertAnswers(context);
  if (TARGET === 'redis') {
    await cluster.servers[0].kill9();
    await cluster.servers[0].start();
  } else {
    await broker.kill();
    await broker.restart();
  }
  await assertAnswers(context);
  const { b1, c1 } = users;
  let said = 0;
  await until(RECOVERY_MS, 'B and C hear A', () => {
    A.io.emit('news', ++said);
    return [b1, c1].every((user) => user.received.length > 0);
  }, 50);
}, FAULT);

// Its server reads on from where it was; what it reads first must not be what comes after the node was ready.
fault('a sidebus is killed with -9 and back: servers answer each other as before, and hear all that was said (#32)',
  async (context) => {
    const { users, nodes, B, C } = context;
    await assertAnswers(context);
    let count = 0;
    let isOver = false;
    const saying = (async () => {
      while (!isOver) {
        C.io.emit('talk', ++count); // no word of what another test says
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    })();
    try {
      await users.b1.receives(1);
      await nodes[1].kill9();
      const away = count;
      await until(ANSWER_MS, 'something is said meanwhile', () => count > away + 10);
      await nodes[1].start();
      const back = count;
      await until(RECOVERY_MS, 'B hears C',
        () => users.b1.received.some(([event, number]) => event === 'talk' && number > back), 2);
      await assertAnswers(context);
    } finally {
      isOver = true;
      await saying;
    }
    B.io.emit('last');
    C.io.emit('last');
    for (const user of Object.values(users)) {
      await until(RECOVERY_MS, `${user.name} hears the last`,
        () => user.received.filter(([event]) => event === 'last').length === 2, 2);
      const heard = user.received.filter(([event]) => event === 'talk').map(([, number]) => number);
      const missed = Array.from({ length: count }, (_, i) => i + 1).filter((number) => !heard.includes(number));
      if (CAN_READ_BACK || !user.name.startsWith('b')) assert.deepEqual(missed, [], `${user.name} missed nothing`);
      assert.deepEqual(heard, [...new Set(heard)].sort((x, y) => x - y), `${user.name} heard it once and in order`);
    }
  });

// What a reader of the adapter asks when its sidebus is new: a part of the answer would be a loss that nobody sees.
test('a sidebus that has just started answers XREAD and XRANGE with all that is behind a position', async (t) => {
  if (TARGET === 'redis' || !CAN_READ_BACK) t.skip('needs sidebus, and a log that can be read back');
  const [other, node] = cluster.nodes;
  const writer = await other.connect();
  t.after(() => writer.destroy());
  const add = async () => String(await writer.request('XADD', 'news', '*', 'a', 'b'));
  const idsOf = (entries) => entries.map(([id]) => String(id));
  for (let round = 0; round < 3; round++) {
    const before = await add();
    await node.kill9();
    const want = [await add(), await add(), await add()];
    let isOver = false;
    const started = node.start();
    const adding = (async () => {
      while (!isOver) await add();
    })();
    try {
      const [reader, ranger] = await Promise.all([1, 2].map(() => until(ANSWER_MS, 'the node listens',
        () => node.connect(), 2)));
      t.after(() => Promise.all([reader, ranger].map((session) => session.destroy())));
      const range = ranger.request('XRANGE', 'news', `(${before}`, '+', 'COUNT', 3);
      const [[, entries]] = await within(RECOVERY_MS, 'XREAD',
        reader.request('XREAD', 'BLOCK', RECOVERY_MS, 'COUNT', 3, 'STREAMS', 'news', before));
      assert.deepEqual(idsOf(entries), want, `XREAD behind ${before}`);
      assert.deepEqual(idsOf(await within(RECOVERY_MS, 'XRANGE', range)), want, `XRANGE behind ${before}`);
    } finally {
      isOver = true;
      await Promise.all([adding, started]);
    }
  }
}, FAULT);

// A log that began anew is another one: nobody can know what was in the old one. A user is told so (it is not
// recovered) and is not sent a part.
fault('the streams at the broker are deleted while a user is away: it begins anew, and all go on', async (context) => {
  if (BROKER !== 'rabbitmq') context.t.skip('deletes streams of RabbitMQ');
  const { users: { b1, c1 }, A, B } = context;
  const { a1 } = await talkAndLose(context, B);
  const connection = await amqplib.connect(broker.url);
  connection.on('error', () => {});
  const channel = await connection.createChannel();
  for (let i = 0; i < PARTITIONS; i++) await channel.deleteQueue(`${cluster.prefix}.${i}`);
  await connection.close();
  a1.received = [];
  const before = [b1.received.length, c1.received.length];
  await until(RECOVERY_MS, 'B and C hear A', () => {
    A.io.emit('news');
    return [b1, c1].every((user, i) => user.received.length > before[i]);
  }, 100);
  assert.equal(await a1.resume(B.port, RECOVERY_MS), false);
  A.io.to(a1.client.id).emit('news', 'new');
  await until(RECOVERY_MS, 'it hears A', () => a1.received.some(([, text]) => text === 'new'));
  assert.deepEqual(a1.received.filter(([event]) => event !== 'news'), []);
});

test('what was missed and is older than the history of its node is read from the broker, or the user begins anew', async (t) => {
  if (TARGET === 'redis') t.skip('needs sidebus');
  const small = await Cluster.open({
    broker, count: 3, partitions: 1, settings: `history = { max_bytes = ${SMALL_HISTORY_BYTES}; };`,
  });
  t.after(() => small.close());
  const smallStage = new Stage(small.nodes);
  t.after(() => smallStage.close());
  const { users: { a1, b1 }, A, B, C, nodes } = await smallStage.contextOf(t, configuration);
  await greet(A, a1);
  await lose(a1, B);
  const text = 'x'.repeat(1024);
  const COUNT = 2000;
  for (let i = 1; i <= COUNT; i++) {
    C.io.emit('news', i, text);
    if (i % 100 === 0) await b1.receives(i);
  }
  const reader = await libraries['ioredis 6'](nodes[1].address);
  t.after(async () => reader.close());
  assert.ok(COUNT * text.length > 4 * SMALL_HISTORY_BYTES);
  note(`the first entry is ${JSON.stringify(await reader.pub.xrange(STREAM, '-', '+', 'COUNT', 1)).slice(0, 60)}`);
  const before = a1.received.length;
  assert.equal(await a1.resume(B.port, RECOVERY_MS), CAN_READ_BACK);
  C.io.emit('news', 'new');
  const missed = CAN_READ_BACK ? Array.from({ length: COUNT }, (_, i) => i + 1) : [];
  await a1.receives(before + missed.length + 1, RECOVERY_MS);
  assert.deepEqual(a1.received.slice(before).map(([, number]) => number), [...missed, 'new']);
}, FAULT);

run({
  before: async () => {
    broker = await brokerForTarget();
    cluster = await Cluster.open({
      broker, count: 3, partitions: PARTITIONS, lease_ms: LEASE_MS,
      [BROKER]: { backoff_min_ms: 50, backoff_max_ms: 500 },
    });
    if (broker) await broker.durable();
    stage = new Stage(cluster.nodes);
  },
  after: async () => {
    if (stage) await stage.close();
    if (cluster) await cluster.close();
    if (broker) await broker.stop();
  },
});
