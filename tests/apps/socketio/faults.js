'use strict';
// What the users of a chat see when something dies under it: the broker, a server of the app, a sidebus. The chat is
// the example of deploy/examples/socketio-chat, unchanged: three servers, each on a sidebus of its own.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { BROKER_NAME, Cluster, ROOT, freePort, requireSidebus, startBroker } = require('../../clients/harness');
const { Skip, note, run, test, until } = require('../../clients/tap');
const { ChatServer, ChatUser, Front, Talk, assertAcked, assertAll, membersBecome } = require('./chat');

const LEASE_MS = 3000;
const RECOVERY_MS = 30000;
const SOON_MS = 10000; // what needs no recovery, on a busy machine, even if one request waits for a server just lost
const IN_FLIGHT = 20; // publishes that a server may have unanswered while two users talk at this pace
const REQUESTS = 'socket.io-request#/#'; // the channel whose subscribers the adapter counts as servers

let broker;
let cluster;
let rooms = 0;
const servers = [];
const fronts = []; // fronts[i] prefers servers[i]

/** Two users at each server, in a room of their own: "a1" and "a2" at the first, and so on. */
async function enterAll(t) {
  const room = `room ${++rooms}`;
  const users = [];
  t.after(async () => users.forEach((user) => user.leave()));
  for (const [i, letter] of ['a', 'b', 'c'].entries()) {
    for (const number of [1, 2]) users.push(await ChatUser.enter(fronts[i], `${letter}${number}`, room));
  }
  await membersBecome(SOON_MS, users, users);
  const talk = new Talk(users);
  t.after(async () => talk.stop());
  return { room, users, talk, at: (letter) => users.filter((user) => user.name[0] === letter) };
}

const stayed = (user) => user.servers.length === 1;

function welcomedAgain(users) {
  return until(RECOVERY_MS, 'they are welcomed by another server',
    () => users.every((user) => user.servers.length === 2), 5);
}

function assertNoDoubles(users) {
  for (const user of users) assert.deepEqual(user.doubles, [], `${user.name} was sent nothing twice`);
}

/** ioredis sends again what was in flight, and the page drops it by its number. It must be no more than that. */
function assertDoubles(users) {
  for (const user of users) {
    assert.ok(user.doubles.every((text) => text[0] === 'a'), 'only what its own server had in flight');
    assert.ok(user.doubles.length <= IN_FLIGHT, `${user.doubles.length} doubles`);
  }
  return Math.max(...users.map((user) => user.doubles.length));
}

test(`${BROKER_NAME} is killed: all stay connected, what is said meanwhile arrives once and in order`, async (t) => {
  const { users, talk, at } = await enterAll(t);
  talk.start();
  for (let round = 0; round < 2; round++) {
    await talk.progress(20, RECOVERY_MS);
    await broker.kill();
    const [a1, a2] = at('a');
    const during = a1.say();
    await until(SOON_MS, 'users of one server go on talking', () => a2.shown.includes(during));
    assert.ok(at('b').concat(at('c')).every((user) => !user.shown.includes(during)), 'the others wait for the log');
    const begin = Date.now();
    await broker.restart();
    const ready_ms = Date.now() - begin;
    await until(RECOVERY_MS, 'it arrives', () => users.every((user) => user.shown.includes(during)));
    const arrived_ms = Date.now() - begin;
    note(`what was said in the outage arrived after ${arrived_ms} ms; the broker's start took ${ready_ms} ms`);
  }
  await talk.finish(RECOVERY_MS);
  for (const reader of users) for (const speaker of users) assertAll(reader, speaker);
  assertNoDoubles(users);
  assert.ok(users.every(stayed), 'nobody was disconnected');
  await membersBecome(SOON_MS, users, users);
}, { deadline_ms: 120000 });

test(`asking who is here while ${BROKER_NAME} is away is answered when it is back`, async (t) => {
  const { users } = await enterAll(t);
  await broker.kill();
  const answers = users.map((user) => user.client.timeout(RECOVERY_MS).emitWithAck('who'));
  await broker.restart();
  for (const { users: here, error } of await Promise.all(answers)) {
    assert.equal(error, undefined);
    assert.equal(here.length, users.length);
  }
}, { deadline_ms: 60000 });

test('a server of the app is killed: its users are elsewhere, once, and what it had taken arrives', async (t) => {
  const { users, talk, at } = await enterAll(t);
  const others = [...at('a'), ...at('c')];
  talk.start();
  await talk.progress(20, RECOVERY_MS);
  await servers[1].kill9();
  const begin = Date.now();
  await welcomedAgain(at('b'));
  const back_ms = Date.now() - begin;
  await membersBecome(SOON_MS, users, users);
  note(`reconnected after ${back_ms} ms, and everybody sees who is here after ${Date.now() - begin} ms`);
  assert.ok(at('b').every((user) => user.servers.at(-1) !== 'web-2'));
  await talk.progress(20, RECOVERY_MS);

  await servers[1].start();
  const late = await ChatUser.enter(fronts[1], 'b3', `room ${rooms}`);
  t.after(async () => late.leave());
  assert.deepEqual(late.servers, ['web-2']);
  await membersBecome(SOON_MS, [...users, late], [...users, late]);
  await talk.finish(RECOVERY_MS);
  for (const reader of others) {
    for (const speaker of others) assertAll(reader, speaker);
    for (const speaker of at('b')) assertAcked(reader, speaker);
  }
  assertNoDoubles(others);
  assert.ok(others.every(stayed), 'the users of the other servers noticed nothing');
}, { deadline_ms: 90000 });

test(`a server of the app dies while ${BROKER_NAME} is away: then it is not counted, and what it had taken arrives`,
  async (t) => {
    const { users, talk, at } = await enterAll(t);
    const others = [...at('a'), ...at('c')];
    talk.start();
    await talk.progress(20, RECOVERY_MS);
    await broker.kill();
    await servers[1].kill9();
    await welcomedAgain(at('b'));
    await broker.restart();
    await membersBecome(RECOVERY_MS, users, users);
    await servers[1].start();
    await talk.finish(RECOVERY_MS);
    for (const reader of others) {
      for (const speaker of others) assertAll(reader, speaker);
      for (const speaker of at('b')) assertAcked(reader, speaker);
    }
    assertNoDoubles(others);
  }, { deadline_ms: 90000 });

test('a server of the app is stopped: nothing that it had taken is lost, its users go on elsewhere', async (t) => {
  const { users, talk, at } = await enterAll(t);
  const others = [...at('a'), ...at('c')];
  talk.start();
  await talk.progress(20, RECOVERY_MS);
  await servers[1].stop();
  await welcomedAgain(at('b'));
  await membersBecome(SOON_MS, users, users);
  await servers[1].start();
  await talk.finish(RECOVERY_MS);
  for (const reader of others) {
    for (const speaker of others) assertAll(reader, speaker);
    for (const speaker of at('b')) assertAcked(reader, speaker);
  }
  assertNoDoubles(others);
}, { deadline_ms: 90000 });

for (const [how, end] of [
  ['killed with -9', (node) => node.kill9()], ['stopped with SIGTERM', (node) => node.stop()],
]) {
  test(`a sidebus is ${how} and started again: its users stay and are heard, in order and once`, async (t) => {
    const { users, talk, at } = await enterAll(t);
    const others = [...at('b'), ...at('c')];
    talk.start();
    await talk.progress(20, RECOVERY_MS);
    await end(cluster.nodes[0]);
    const [a1, a2] = at('a');
    const during = a1.say();
    await until(SOON_MS, 'users of its server go on talking', () => a2.shown.includes(during));
    await talk.progress(20, RECOVERY_MS, others, others);
    assert.ok(others.every((user) => !user.shown.includes(during)));
    const begin = Date.now();
    await cluster.nodes[0].start();
    const took_ms = await membersBecome(RECOVERY_MS, users, users);
    note(`all see who is here ${Date.now() - begin} ms after the start began (${took_ms} ms after it was ready)`);
    const missedUntil = new Map(others.map((user) => [user, user.said.length]));
    await talk.finish(RECOVERY_MS);

    assert.ok(users.every(stayed), 'nobody was disconnected');
    for (const reader of others) for (const speaker of users) assertAll(reader, speaker);
    for (const reader of at('a')) {
      for (const speaker of at('a')) assertAll(reader, speaker);
      for (const speaker of others) {
        const shown = reader.shownOf(speaker);
        const missing = speaker.said.filter((text) => !shown.includes(text));
        assert.deepEqual(shown, speaker.said.filter((text) => !missing.includes(text)), 'in order and once');
        const late = missing.filter((text) => speaker.said.indexOf(text) >= missedUntil.get(speaker));
        assert.deepEqual(late, [], 'they miss what was said while it was away, and nothing after');
      }
    }
    const missing = others.reduce((sum, speaker) => sum + speaker.said.length - a1.shownOf(speaker).length, 0);
    note(`sent twice and dropped by the page: ${assertDoubles(users)}; missed by the users behind it: ${missing}`);
    if (how.startsWith('stopped')) assertNoDoubles(users);
  }, { deadline_ms: 90000 });
}

test('a sidebus stays away: when its lease has run out the others no longer count its server', async (t) => {
  const { users, talk, at } = await enterAll(t);
  const others = [...at('b'), ...at('c')];
  talk.start();
  await talk.progress(20, RECOVERY_MS);
  await cluster.nodes[0].kill9();
  const begin = Date.now();
  const asked = others[0].who();
  const session = await cluster.nodes[1].connect();
  t.after(() => session.destroy());
  await until(4 * LEASE_MS, 'two servers are counted', async () => {
    const [, count] = await session.request('PUBSUB', 'NUMSUB', REQUESTS);
    return count === 2;
  });
  note(`two servers are counted after ${Date.now() - begin} ms, with a lease of ${LEASE_MS} ms`);
  const { error } = await asked;
  note(`asked at once: ${error || 'answered'}, after ${Date.now() - begin} ms`);
  await membersBecome(SOON_MS, others, others);
  await cluster.nodes[0].start();
  await membersBecome(RECOVERY_MS, users, users);
  await talk.finish(RECOVERY_MS);
  for (const reader of others) for (const speaker of users) assertAll(reader, speaker);
  assert.ok(users.every(stayed), 'nobody was disconnected');
}, { deadline_ms: 90000 });

test(`${BROKER_NAME} and a sidebus are killed together: what was said meanwhile arrives, in order`, async (t) => {
  const { users, talk, at } = await enterAll(t);
  const others = [...at('b'), ...at('c')];
  talk.start();
  await talk.progress(20, RECOVERY_MS);
  await broker.kill();
  const held = at('a')[0].say(); // taken by the sidebus that dies next, and not answered
  await until(SOON_MS, 'its server has it', () => at('a')[1].shown.includes(held));
  await cluster.nodes[0].kill9();
  const started = cluster.nodes[0].start();
  await broker.restart();
  await started;
  await membersBecome(RECOVERY_MS, users, users);
  await talk.finish(RECOVERY_MS);
  for (const reader of others) for (const speaker of users) assertAll(reader, speaker);
  note(`sent twice and dropped by the page: ${assertDoubles(users)}`);
  assert.ok(users.every(stayed), 'nobody was disconnected');
}, { deadline_ms: 90000 });

run({
  before: async () => {
    requireSidebus();
    if (!fs.existsSync(path.join(ROOT, 'deploy/examples/socketio-chat/node_modules'))) {
      throw new Skip('npm ci was not run in deploy/examples/socketio-chat');
    }
    broker = await startBroker();
    cluster = await Cluster.open({
      broker, count: 3, partitions: 4, lease_ms: LEASE_MS, rabbitmq: { backoff_min_ms: 50, backoff_max_ms: 500 },
    });
    await broker.durable();
    for (const [i, node] of cluster.nodes.entries()) {
      servers.push(new ChatServer(`web-${i + 1}`, cluster.dir, node, await freePort()));
    }
    await Promise.all(servers.map((server) => server.start()));
    const ports = servers.map((server) => server.port);
    for (const i of ports.keys()) fronts.push(await Front.start([...ports.slice(i), ...ports.slice(0, i)]));
  },
  after: async () => {
    await Promise.all(fronts.map((front) => front.close()));
    await Promise.all(servers.map((server) => server.stop()));
    if (cluster) await cluster.close();
    if (broker) await broker.stop();
  },
  afterName: 'the servers and their bridges exit with code 0 on SIGTERM',
});
