'use strict';
// Keys, streams and cursors when nodes, the broker and the logs themselves go: what outlives them, and how it is told
// what did not.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { Broker, Sidebus, amqplib, requireSidebus, temporaryDirectory } = require('../clients/harness');
const { Ids } = require('../clients/ids');
const { slotOf } = require('../clients/load');
const { cpu_ms } = require('../clients/process');
const { note, run, test, until, within } = require('../clients/tap');

const PARTITIONS = 2;
const RECOVERY_MS = 60000;
const PREFILL_MS = 15000;
const CLOCKS_MS = 200; // what log time may differ from node to node
const BRIEF_MS = 1500; // a key that does not outlive what is done meanwhile
const LONG_S = 1000;
const SESSIONS = 2000;
const IDLE_MS = 2000;
const QUICK = { backoff_min_ms: 20, backoff_max_ms: 300 };

// A tag for each partition.
const TAGS = [];
for (let i = 0; TAGS.filter(Boolean).length < PARTITIONS; i++) TAGS[slotOf(`keys${i}`) % PARTITIONS] ??= `keys${i}`;
const nameIn = (partition, what) => `{${TAGS[partition]}}${what}`;

let broker;
let home; // of all nodes' files

const plain = (value) => (Buffer.isBuffer(value) ? String(value)
  : value instanceof Map ? [...value].map(([key, one]) => [key, plain(one)])
    : Array.isArray(value) ? value.map(plain) : value);

/** Nodes of one hub; start: how many of them are started. */
async function openNodes(t, count = 2, start = count, settings = '') {
  const dir = fs.mkdtempSync(path.join(home, 'n-'));
  const prefix = `t${process.pid}x${Math.random().toString(36).slice(2, 8)}`;
  const nodes = Array.from({ length: count }, (_, i) => new Sidebus(`node-${i + 1}`, dir, {
    broker, topics: { prefix, partitions: PARTITIONS }, rabbitmq: QUICK, found_ms: 1000, settings,
  }));
  t.after(() => Promise.all(nodes.map((node) => node.stop())));
  await Promise.all(nodes.slice(0, start).map((node) => node.start()));
  return { nodes, prefix };
}

async function connect(t, node, options) {
  const connection = await node.connect(options);
  t.after(() => connection.destroy());
  return connection;
}

const ask = async (session, ...args) => plain(await within(RECOVERY_MS, args.join(' ').slice(0, 80), session.request(...args)));

const fieldsOf = (flat) => Object.fromEntries(flat.flatMap((name, i) => (i % 2 === 0 ? [[name, flat[i + 1]]] : [])));

/** After it, this session's node has applied all that was answered on any. */
async function fence(session) {
  for (const partition of TAGS.keys()) await ask(session, 'DEL', nameIn(partition, 'fence'));
}

function isBelow(one, other) {
  const [a, b] = [one.split('-').map(BigInt), other.split('-').map(BigInt)];
  return a[0] < b[0] || (a[0] === b[0] && a[1] < b[1]);
}

/** Waits until a time, because it is time that a key lives for. */
const passes = (at_ms) => until(RECOVERY_MS, 'time passes', () => Date.now() > at_ms, 20);

// ---- what is kept ----

/** Writes something of every kind in each partition; brief keys end `BRIEF_MS` after this. */
async function fill(session, round) {
  for (const partition of TAGS.keys()) {
    const name = (what) => nameIn(partition, what);
    await ask(session, 'SET', name('plain'), `value ${round}`);
    await ask(session, 'SET', name('long'), `long ${round}`, 'EX', LONG_S);
    await ask(session, 'SET', name('gone'), 'x');
    await ask(session, 'DEL', name('gone'));
    await ask(session, 'INCRBY', name('count'), 5);
    const ids = [];
    for (let i = 0; i < 20; i++) ids.push(await ask(session, 'XADD', name('stream'), '*', 'round', round, 'i', i));
    await ask(session, 'XDEL', name('stream'), ids[3], ids[7]);
    await ask(session, 'XADD', name('trimmed'), 'MAXLEN', 5, '*', 'i', 0);
    for (let i = 0; i < 20; i++) await ask(session, 'PUBLISH', name('channel'), `${round} ${i}`);
    await ask(session, 'XADD', name('brief:stream'), '*', 'f', 'v');
    await ask(session, 'PEXPIRE', name('brief:stream'), BRIEF_MS);
    await ask(session, 'SET', name('brief'), 'x', 'PX', BRIEF_MS);
  }
}

/** All that can be read and does not change with time. */
async function contents(session) {
  const all = [];
  for (const partition of TAGS.keys()) {
    const name = (what) => nameIn(partition, what);
    const one = {};
    for (const key of ['plain', 'long', 'gone', 'count', 'brief']) one[key] = await ask(session, 'GET', name(key));
    for (const key of ['stream', 'trimmed', 'channel', 'brief:stream']) {
      one[key] = await ask(session, 'XRANGE', name(key), '-', '+');
      one[`type of ${key}`] = await ask(session, 'TYPE', name(key));
    }
    for (const key of ['stream', 'trimmed']) {
      const info = fieldsOf(await ask(session, 'XINFO', 'STREAM', name(key)));
      one[`meta of ${key}`] = [info.length, info['last-generated-id'], info['entries-added']];
    }
    all.push(one);
  }
  return all;
}

/** What is left of it when brief keys have ended. */
const without = (all) => all.map((one) => ({ ...one, brief: null, 'brief:stream': [], 'type of brief:stream': 'none' }));

async function assertKept(t, nodes, before) {
  for (const node of nodes) {
    const session = await connect(t, node);
    // A node fills its history beside its work.
    await until(PREFILL_MS, `${node.name} holds what was there`, async () => {
      await fence(session);
      assert.deepEqual(await contents(session), without(before));
      return true;
    }, 50);
    for (const [partition, { stream, count }] of before.entries()) {
      const ttl = await ask(session, 'TTL', nameIn(partition, 'long'));
      assert.ok(ttl > LONG_S - 200 && ttl <= LONG_S, `TTL ${ttl}`);
      const old = stream[4][0];
      assert.deepEqual(await ask(session, 'XRANGE', nameIn(partition, 'stream'), `(${old}`, '+'), stream.slice(5), 'from an old cursor');
      const [[, entries]] = await ask(session, 'XREAD', 'COUNT', 3, 'STREAMS', nameIn(partition, 'channel'), '0');
      assert.deepEqual(entries, before[partition].channel.slice(0, 3));
      assert.equal(await ask(session, 'INCR', nameIn(partition, 'count')), Number(count) + 1, 'INCR goes on');
      await ask(session, 'DECR', nameIn(partition, 'count'));
      const id = await ask(session, 'XADD', nameIn(partition, 'later'), '*', 'f', 'v');
      assert.ok(isBelow(before[partition].channel.at(-1)[0], id) && isBelow(stream.at(-1)[0], id), 'ids go on');
    }
  }
}

for (const [how, leave] of [
  ['killed with -9', (node) => node.kill9()], ['stopped with SIGTERM', (node) => node.stop()],
]) {
  test(`all nodes ${how} and started again, three times: no key is lost that had not expired, cursors go on`, async (t) => {
    const { nodes } = await openNodes(t);
    for (let round = 0; round < 3; round++) {
      const session = await connect(t, nodes[round % 2]);
      await fill(session, round);
      const end_ms = Date.now() + BRIEF_MS;
      const before = await contents(session);
      assert.equal(before[0].stream.length, 18 * (round + 1));
      await Promise.all(nodes.map(leave));
      await passes(end_ms + 200);
      await Promise.all(nodes.map((node) => node.start()));
      await assertKept(t, nodes, before);
    }
  }, { deadline_ms: 180000 });
}

test('keys that were set before the last checkpoint are recovered from it', async (t) => {
  const { nodes } = await openNodes(t, 1);
  const [A] = nodes;
  const session = await connect(t, A);
  await fill(session, 0);
  const end_ms = Date.now() + BRIEF_MS;
  const before = await contents(session);
  for (let i = 0; i < 10000; i++) await ask(session, 'SET', nameIn(i % 2, `many:${i % 500}`), i); // a batch each
  await A.kill9();
  await passes(end_ms + 200);
  await A.start();
  await assertKept(t, nodes, before);
  const again = await connect(t, A);
  for (let i = 9500; i < 10000; i++) assert.equal(await ask(again, 'GET', nameIn(i % 2, `many:${i % 500}`)), String(i));
}, { deadline_ms: 120000 });

test('one node killed with -9 and started again gets keys from the other, and the history from the log', async (t) => {
  const { nodes } = await openNodes(t);
  const [A, B] = nodes;
  const session = await connect(t, A);
  await fill(session, 0);
  const end_ms = Date.now() + BRIEF_MS;
  await B.kill9();
  await fill(session, 1);
  const before = await contents(session);
  await passes(end_ms + BRIEF_MS);
  await B.start();
  await assertKept(t, nodes, before);
}, { deadline_ms: 90000 });

test('RabbitMQ killed with -9 and restarted while nodes write: every INCR is counted once, keys and streams stay', async (t) => {
  const { nodes } = await openNodes(t);
  const [A, B] = nodes;
  await broker.durable();
  const sessions = [await connect(t, A), await connect(t, B)];
  await fill(sessions[0], 0);
  const end_ms = Date.now() + BRIEF_MS;
  const before = await contents(sessions[0]);
  let isOver = false;
  let answered = 0;
  const added = TAGS.map(() => []);
  const loops = sessions.map(async (session) => {
    while (!isOver) {
      const partition = answered % 2;
      const [, id] = await Promise.all([ask(session, 'INCR', nameIn(partition, 'sum')), ask(session, 'XADD', nameIn(partition, 'log'), '*', 'f', 'v')]);
      added[partition].push(id);
      answered += 1;
    }
  });
  const progress = () => {
    const goal = answered + 100;
    return until(RECOVERY_MS, () => `answers (${answered})`, () => answered > goal);
  };
  await progress();
  for (let i = 0; i < 2; i++) {
    await broker.kill();
    await broker.restart();
    await progress();
  }
  isOver = true;
  await within(RECOVERY_MS, 'the last answers', Promise.all(loops));
  await passes(end_ms + 200);
  for (const session of sessions) {
    await fence(session);
    const sums = await Promise.all(TAGS.map((_, partition) => ask(session, 'GET', nameIn(partition, 'sum'))));
    assert.equal(Number(sums[0]) + Number(sums[1]), answered);
    for (const partition of TAGS.keys()) {
      const ids = (await ask(session, 'XRANGE', nameIn(partition, 'log'), '-', '+')).map(([id]) => id);
      assert.deepEqual([...ids].sort(), [...added[partition]].sort());
    }
  }
  await assertKept(t, nodes, before);
  for (const node of nodes) assert.equal((await node.info()).gaps, '0');
}, { deadline_ms: 180000 });

// ---- time ----

/** A key ends between two times, give or take what clocks differ. */
async function assertLives(session, name, from_ms, to_ms) {
  const asked_ms = Date.now();
  const left = await ask(session, 'PTTL', name);
  const [least, most] = [from_ms - Date.now() - CLOCKS_MS, to_ms - asked_ms + CLOCKS_MS];
  assert.ok(left >= least && left <= most, `${name}: PTTL ${left}, not ${least} to ${most}`);
}

test('a node that was idle knows what time it is when a command comes', async (t) => {
  const { nodes: [A] } = await openNodes(t, 1);
  const session = await connect(t, A);
  const name = nameIn(1, 'timed');
  await ask(session, 'SET', name, 'x', 'PX', 500);
  await passes(Date.now() + 500 + CLOCKS_MS);
  assert.equal(await ask(session, 'GET', name), null, 'the first command after the idle time');
  await passes(Date.now() + 2000);
  const end_ms = Date.now() + 5000;
  await ask(session, 'SET', name, 'x', 'PXAT', end_ms);
  await assertLives(session, name, end_ms, end_ms);
});

test('a node that joins a hub that was idle has the hub\'s time: what it sets lives as long everywhere', async (t) => {
  const { nodes } = await openNodes(t, 2, 1);
  const [A, B] = nodes;
  const sessions = [await connect(t, A)];
  await fence(sessions[0]);
  await passes(Date.now() + 4000);
  await B.start();
  sessions.push(await connect(t, B));
  for (const setter of sessions) {
    for (const partition of TAGS.keys()) {
      const name = nameIn(partition, 'timed');
      const begin_ms = Date.now();
      await ask(setter, 'SET', name, 'x', 'PX', 2000);
      const end_ms = Date.now() + 2000;
      for (const session of sessions) {
        await fence(session);
        await assertLives(session, name, begin_ms + 2000, end_ms);
      }
      await passes(end_ms + CLOCKS_MS);
      for (const session of sessions) assert.equal(await ask(session, 'GET', name), null, `partition ${partition}: it is over`);
    }
  }
}, { deadline_ms: 60000 });

// ---- a log that is gone ----

async function deleteStreams(prefix) {
  const connection = await amqplib.connect(broker.url);
  connection.on('error', () => {}); // it also rejects the call that caused it
  const channel = await connection.createChannel();
  channel.on('error', () => {});
  for (const partition of TAGS.keys()) await channel.deleteQueue(`${prefix}.${partition}`);
  await connection.close();
}

/** A new log: entries of before are gone, keys too unless a node held them, ids go on above the old ones. */
async function assertAnew(t, nodes, before, { areRunning }) {
  for (const [i, node] of nodes.entries()) {
    const session = await connect(t, node);
    await fence(session);
    for (const [partition, { stream, ...keys }] of before.entries()) {
      const old = stream.at(-1)[0];
      for (const key of ['plain', 'long', 'count']) {
        assert.equal(await ask(session, 'GET', nameIn(partition, key)), areRunning ? keys[key] : null);
      }
      if (areRunning) assert.ok(await ask(session, 'TTL', nameIn(partition, 'long')) > 0);
      assert.deepEqual(await ask(session, 'XRANGE', nameIn(partition, 'stream'), '-', `${old}`), []);
      const id = await ask(session, 'XADD', nameIn(partition, 'stream'), '*', 'node', i);
      assert.ok(isBelow(old, id), `${id} is above ${old}`);
      assert.notEqual(id.split('-')[0], old.split('-')[0], 'another generation');
      const info = fieldsOf(await ask(session, 'XINFO', 'STREAM', nameIn(partition, 'stream')));
      assert.ok(!isBelow(info['max-deleted-entry-id'], old), `max-deleted-entry-id ${info['max-deleted-entry-id']} is not below ${old}`);
      assert.ok(isBelow(info['max-deleted-entry-id'], id));
    }
    if (areRunning) {
      const gaps = (await ask(session, 'SIDEBUS', 'GAPS')).map(fieldsOf);
      for (const [partition, { stream }] of before.entries()) {
        const gap = gaps.find((one) => one.partition === partition);
        assert.ok(gap, `${node.name}: a gap of partition ${partition}`);
        assert.equal(String(gap.generation), stream.at(-1)[0].split('-')[0]);
        assert.notEqual(gap.before, 0, 'it is closed');
      }
    }
  }
}

test('streams deleted while nodes run: the keys stay, a new generation, waiting cursors go on, the gap is told', async (t) => {
  const { nodes, prefix } = await openNodes(t);
  const writer = await connect(t, nodes[0]);
  await fill(writer, 0);
  const before = await contents(writer);
  const waiting = [];
  for (const node of nodes) {
    for (const [partition, { stream, channel }] of before.entries()) {
      const names = [nameIn(partition, 'stream'), nameIn(partition, 'channel')];
      const session = await connect(t, node);
      await fence(session);
      waiting.push(session.request('XREAD', 'BLOCK', 0, 'STREAMS', ...names, stream.at(-1)[0], channel.at(-1)[0]));
    }
  }
  for (const node of nodes) await until(RECOVERY_MS, 'readers wait', async () => (await node.info()).blocked_clients === String(PARTITIONS));
  await deleteStreams(prefix);
  await until(RECOVERY_MS, 'the nodes have noticed', async () => {
    for (const node of nodes) assert.ok(Number((await node.info()).gaps) >= PARTITIONS);
    return true;
  });
  const ids = [];
  for (const partition of TAGS.keys()) ids.push(await ask(writer, 'XADD', nameIn(partition, 'stream'), '*', 'f', 'new'));
  for (const [i, reply] of plain(await within(RECOVERY_MS, 'all readers get the new entry', Promise.all(waiting))).entries()) {
    const partition = i % PARTITIONS;
    assert.deepEqual(reply, [[nameIn(partition, 'stream'), [[ids[partition], ['f', 'new']]]]]);
  }
  await assertAnew(t, nodes, before, { areRunning: true });
  assert.ok(nodes.some((node) => /brings the shared keys/.test(node.stderr)), `a log line says so: ${nodes[0].tail(20)}`);
}, { deadline_ms: 120000 });

test('streams deleted while all nodes are down: a new generation with higher ids, old cursors find nothing and go on', async (t) => {
  const { nodes, prefix } = await openNodes(t);
  const writer = await connect(t, nodes[0]);
  await fill(writer, 0);
  const before = await contents(writer);
  await Promise.all(nodes.map((node) => node.kill9()));
  await deleteStreams(prefix);
  await Promise.all(nodes.map((node) => node.start()));
  const reader = await connect(t, nodes[1]);
  const waiting = reader.request('XREAD', 'BLOCK', 0, 'STREAMS', nameIn(0, 'stream'), before[0].stream.at(-1)[0]);
  await until(RECOVERY_MS, 'the reader waits', async () => (await nodes[1].info()).blocked_clients === '1');
  const session = await connect(t, nodes[0]);
  const id = await ask(session, 'XADD', nameIn(0, 'stream'), '*', 'f', 'new');
  assert.deepEqual(plain(await within(RECOVERY_MS, 'the reader goes on', waiting)), [[nameIn(0, 'stream'), [[id, ['f', 'new']]]]]);
  await assertAnew(t, nodes, before, { areRunning: false });
}, { deadline_ms: 120000 });

// ---- older than what a node holds in memory ----

const SMALL_HISTORY = 'history = { max_bytes = 65536; };';
const OLD_ENTRIES = 3000;

/** Entries of both kinds and what is taken away of them; what is left, by name, as XRANGE gives it. */
async function writeMuch(sessions) {
  const left = new Map();
  for (const partition of TAGS.keys()) {
    const name = (what) => nameIn(partition, what);
    const [added, published, trimmed, gone] = ['added', 'published', 'trimmed', 'gone'].map(name);
    const ids = [];
    for (let i = 0; i < OLD_ENTRIES; i += 100) {
      const numbers = Array.from({ length: 100 }, (_, at) => i + at);
      const session = sessions[(i / 100) % sessions.length];
      ids.push(...await Promise.all(numbers.map((n) => ask(session, 'XADD', added, '*', 'n', n))));
      await Promise.all(numbers.map((n) => ask(session, 'PUBLISH', published, n)));
      await Promise.all(numbers.map((n) => ask(session, 'XADD', trimmed, '*', 'n', n)));
      await ask(session, 'XADD', gone, '*', 'n', i);
    }
    const entries = ids.map((id, i) => [id, ['n', String(i)]]);
    for (let i = 0; i < OLD_ENTRIES; i += 10) await ask(sessions[i % 2], 'XDEL', added, ids[i]);
    await ask(sessions[0], 'XTRIM', trimmed, 'MAXLEN', '=', OLD_ENTRIES / 2);
    await ask(sessions[1], 'DEL', gone);
    left.set(added, entries.filter((_, i) => i % 10 !== 0));
    left.set(trimmed, { numbers: Array.from({ length: OLD_ENTRIES / 2 }, (_, i) => String(OLD_ENTRIES / 2 + i)) });
    left.set(published, { numbers: Array.from({ length: OLD_ENTRIES }, (_, i) => String(i)) });
    left.set(gone, []);
  }
  return left;
}

const numbersOf = (entries) => entries.map(([, [, number]]) => number);

test('ranges older than the history in memory are read from the broker, on every node, less what was taken away', async (t) => {
  const { nodes } = await openNodes(t, 2, 2, SMALL_HISTORY);
  const sessions = [await connect(t, nodes[0]), await connect(t, nodes[1])];
  const left = await writeMuch(sessions);
  for (const session of sessions) {
    await fence(session);
    for (const [name, expected] of left) {
      const numbers = expected.numbers ?? numbersOf(expected);
      const all = await ask(session, 'XRANGE', name, '-', '+');
      assert.deepEqual(numbersOf(all), numbers, `XRANGE ${name}`);
      if (!expected.numbers) assert.deepEqual(all, expected);
      assert.deepEqual(await ask(session, 'XREVRANGE', name, '+', '-'), [...all].reverse());
      assert.deepEqual(await ask(session, 'XREVRANGE', name, '+', '-', 'COUNT', 5), all.slice(-5).reverse());
      assert.deepEqual(await ask(session, 'XRANGE', name, '-', '+', 'COUNT', 7), all.slice(0, 7));
      if (all.length === 0) continue;
      const [from, to] = [all[Math.floor(all.length / 3)][0], all[Math.floor(all.length / 2)][0]];
      const part = all.slice(Math.floor(all.length / 3), Math.floor(all.length / 2) + 1);
      assert.deepEqual(await ask(session, 'XRANGE', name, from, to), part);
      assert.deepEqual(await ask(session, 'XREAD', 'STREAMS', name, '0'), [[name, all]]);
      assert.deepEqual(await ask(session, 'XREAD', 'BLOCK', 0, 'COUNT', 3, 'STREAMS', name, from),
        [[name, all.slice(Math.floor(all.length / 3) + 1).slice(0, 3)]]);
    }
    const names = [...TAGS.keys()].map((partition) => nameIn(partition, 'added'));
    const both = await ask(session, 'XREAD', 'COUNT', 2, 'STREAMS', ...names, '0', '0');
    assert.deepEqual(both.map(([, entries]) => numbersOf(entries)), [['1', '2'], ['1', '2']]);
  }
  for (const node of nodes) assert.ok(Number((await node.info()).ranges_read_back) > 0);
}, { deadline_ms: 180000 });

test('who follows a quiet stream among busy ones does not have it read from the broker each time', async (t) => {
  const { nodes: [A] } = await openNodes(t, 1, 1, SMALL_HISTORY);
  const session = await connect(t, A);
  const quiet = await ask(session, 'XADD', nameIn(0, 'quiet'), '*', 'n', 0);
  for (let i = 0; i < OLD_ENTRIES; i++) await ask(session, 'XADD', nameIn(0, 'busy'), '*', 'n', i);
  const before = (await A.info()).broker_read_back;
  for (let i = 0; i < 10; i++) assert.equal(await ask(session, 'XREAD', 'STREAMS', nameIn(0, 'quiet'), quiet), null);
  assert.equal((await A.info()).broker_read_back, before);
}, { deadline_ms: 60000 });

// ---- readers that wait ----

test('an XREAD that waits on one node gets what is added on the other: XADD, PUBLISH, MULTI', async (t) => {
  const { nodes: [A, B] } = await openNodes(t);
  const reader = await connect(t, B);
  const writer = await connect(t, A);
  for (const [round, add] of [
    (name) => [['XADD', name, '*', 'data', 'x']], (name) => [['PUBLISH', name, 'x']],
    (name) => [['MULTI'], ['SET', nameIn(1, 'other'), 'y'], ['XADD', name, '*', 'data', 'x'], ['EXEC']],
  ].entries()) {
    const names = [nameIn(0, `wait:${round}`), nameIn(1, `wait:${round}`)];
    await fence(reader);
    const waiting = reader.request('XREAD', 'BLOCK', 0, 'STREAMS', ...names, '$', '$');
    await until(RECOVERY_MS, 'the reader waits', async () => (await B.info()).blocked_clients === '1');
    for (const args of add(names[1])) await ask(writer, ...args);
    const [[id]] = await ask(writer, 'XRANGE', names[1], '-', '+');
    assert.deepEqual(plain(await within(RECOVERY_MS, 'the reply', waiting)), [[names[1], [[id, ['data', 'x']]]]]);
  }
});

test(`${SESSIONS} sessions that wait in XREAD cost nothing while idle, and all wake`, async (t) => {
  const { nodes: [A, B] } = await openNodes(t);
  const writer = await connect(t, A);
  const sessions = [];
  const waiting = [];
  for (let i = 0; i < SESSIONS; i++) {
    sessions.push(await connect(t, B));
    waiting.push(sessions[i].request('XREAD', 'BLOCK', 0, 'STREAMS', nameIn(0, 'crowd'), nameIn(1, 'crowd'), '$', '$'));
  }
  await until(RECOVERY_MS, 'all wait', async () => (await B.info()).blocked_clients === String(SESSIONS));
  const idle = cpu_ms(B.pid);
  const until_ms = Date.now() + IDLE_MS;
  await passes(until_ms);
  const used = cpu_ms(B.pid) - idle;
  note(`${used} ms of CPU in ${IDLE_MS} ms`);
  assert.ok(used <= IDLE_MS / 20, `${used} ms of CPU while idle`);
  const start = performance.now();
  const id = await ask(writer, 'XADD', nameIn(1, 'crowd'), '*', 'f', 'v');
  const replies = plain(await within(RECOVERY_MS, 'all wake', Promise.all(waiting)));
  note(`all woke in ${Math.round(performance.now() - start)} ms`);
  for (const reply of replies) assert.deepEqual(reply, [[nameIn(1, 'crowd'), [[id, ['f', 'v']]]]]);
  assert.equal((await B.info()).blocked_clients, '0');
}, { deadline_ms: 60000 });

// ---- SIDEBUS IDS ----

test('ids of messages are those of XRANGE, and the last one continues on another node: nothing missed, nothing twice', async (t) => {
  const { nodes } = await openNodes(t, 3);
  const channel = nameIn(1, 'followed');
  let isOver = false;
  let sent = 0;
  const publishers = await Promise.all(nodes.map((node) => connect(t, node)));
  const loops = publishers.map(async (session) => {
    while (!isOver) {
      await Promise.all([0, 1, 2, 3].map(() => ask(session, 'PUBLISH', channel, sent++)));
      await new Promise((resolve) => setTimeout(resolve, 2)); // some thousand messages, which are compared in the end
    }
  });
  const seen = []; // [id, payload], by a client that moves from node to node
  const witness = await Ids.open(nodes[0], channel);
  t.after(() => witness.close());
  const goal = (more, list) => {
    const length = list.length + more;
    return until(RECOVERY_MS, 'messages come', () => list.length >= length, 1);
  };
  for (let move = 0; move < 6; move++) {
    const client = await Ids.open(nodes[move % 3], channel);
    const range = await ask(client.connection, 'XRANGE', channel, seen.length ? `(${seen.at(-1)[0]}` : '-', '+');
    seen.push(...range.map(([id, [, payload]]) => [id, payload]));
    await goal(100, client.got);
    await client.close();
    seen.push(...client.got.filter(([id]) => seen.length === 0 || isBelow(seen.at(-1)[0], id)));
    await goal(50, witness.got); // what is missed meanwhile
  }
  isOver = true;
  await within(RECOVERY_MS, 'the last answers', Promise.all(loops));
  const session = await connect(t, nodes[2]);
  await fence(session);
  const rest = await ask(session, 'XRANGE', channel, `(${seen.at(-1)[0]}`, '+');
  seen.push(...rest.map(([id, [, payload]]) => [id, payload]));
  await until(RECOVERY_MS, 'the witness has all', () => witness.got.at(-1)[0] === seen.at(-1)[0]);
  for (const node of nodes) {
    const asker = await connect(t, node);
    await fence(asker);
    const all = (await ask(asker, 'XRANGE', channel, '-', '+')).map(([id, [, payload]]) => [id, payload]);
    assert.equal(all.length, sent);
    assert.deepEqual(all, seen, `${node.name}: what the client has is what there is`);
    assert.deepEqual(all.slice(all.findIndex(([id]) => id === witness.got[0][0])), witness.got, 'ids of pushes are those of XRANGE');
  }
});

run({
  before: async () => {
    requireSidebus();
    home = temporaryDirectory();
    broker = await Broker.start();
  },
  after: async () => {
    if (broker) await broker.stop();
  },
  afterName: 'the broker stops',
});
