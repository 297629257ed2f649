'use strict';
// Who is a member and whose interest counts: nodes that die, that are cut off for longer than the lease and come
// back, brokers that are away for longer than it, apps that die. The lease is short here; RabbitMQ is real.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { Broker, Sidebus, requireSidebus, temporaryDirectory } = require('../clients/harness');
const { slotOf } = require('../clients/load');
const { Positions, steps } = require('../clients/positions');
const { Proxy } = require('../clients/proxy');
const { note, run, test, until, within } = require('../clients/tap');

const LEASE_MS = 3000;
const PARTITIONS = 4;
const HEARTBEAT_MS = LEASE_MS / 3; // a node that has nothing else to say speaks this often
// A member is silent from its last word on. Another one knows it from its own next echo on, and says it with its
// first echo a lease later: idle, both come with heartbeats.
const DEAD_MS = LEASE_MS + 2 * HEARTBEAT_MS;
const SLACK_MS = 2000; // for a busy machine
const RECOVERY_MS = 30000;
const GONE_MS = 5000;
const QUICK = { backoff_min_ms: 10, backoff_max_ms: 200, connect_timeout_ms: 1000, rpc_timeout_ms: 1500 };

// A channel for each partition: channels[p] lives in partition p.
const CHANNELS = [];
for (let i = 0; CHANNELS.filter(Boolean).length < PARTITIONS; i++) CHANNELS[slotOf(`lease:${i}`) % PARTITIONS] ??= `lease:${i}`;

let broker;
let home; // of all nodes' files

/** Three nodes; the first reaches the broker through a proxy of its own. */
async function openNodes(t, { heartbeat_s = 30 } = {}) {
  const proxy = await Proxy.start(broker.port);
  t.after(() => proxy.close());
  const dir = fs.mkdtempSync(path.join(home, 'n-'));
  const prefix = `t${process.pid}x${Math.random().toString(36).slice(2, 8)}`;
  const nodes = ['a', 'b', 'c'].map((name, i) => new Sidebus(name, dir, {
    broker,
    brokerPort: i === 0 ? proxy.port : undefined,
    topics: { prefix, partitions: PARTITIONS },
    lease_ms: LEASE_MS,
    rabbitmq: { ...QUICK, heartbeat_s },
  }));
  t.after(async () => {
    proxy.speak();
    proxy.allow();
    if (!nodes[0].status) nodes[0].signal('SIGCONT');
    await Promise.all(nodes.map((node) => node.stop()));
  });
  await Promise.all(nodes.map((node) => node.start()));
  return { nodes, proxy };
}

async function connect(t, node, onMessage) {
  const connection = await node.connect({ onMessage });
  t.after(() => connection.destroy());
  return connection;
}

/** A session that subscribes to every channel, a pattern and a shard channel. */
async function interested(t, node, onMessage) {
  const session = await connect(t, node, onMessage);
  await session.subscribe('SUBSCRIBE', ...CHANNELS);
  await session.subscribe('SSUBSCRIBE', ...CHANNELS);
  await session.subscribe('PSUBSCRIBE', 'lease:*');
  return session;
}

const numbers = (flat) => flat.filter((_, i) => i % 2 === 1);

/** What a node answers: {channels: [by partition], shards: [by partition], patterns}. */
async function counts(asker) {
  const [channels, shards, patterns] = await Promise.all([
    asker.request('PUBSUB', 'NUMSUB', ...CHANNELS), asker.request('PUBSUB', 'SHARDNUMSUB', ...CHANNELS),
    asker.request('PUBSUB', 'NUMPAT'),
  ]);
  return { channels: numbers(channels), shards: numbers(shards), patterns };
}

const each = (count) => CHANNELS.map(() => count);
const expected = (channels, shards, patterns) => ({ channels: each(channels), shards: each(shards), patterns });

/** Members as SIDEBUS NODES tells them: {partition: {node: incarnation}}. */
async function members(asker) {
  const result = CHANNELS.map(() => ({}));
  for (const flat of await asker.request('SIDEBUS', 'NODES')) {
    const fields = {};
    for (let i = 0; i < flat.length; i += 2) fields[String(flat[i])] = flat[i + 1];
    result[fields.partition][String(fields.node)] = String(fields.incarnation);
  }
  return result;
}

function lacks(asker, name) {
  return members(asker).then((all) => all.every((one) => !(name in one)));
}

/** Publishers on B and C to one channel, seen by a witness on B. */
async function openPositions(t, [, B, C], channel = CHANNELS[1]) {
  const positions = await Positions.open(B, channel);
  t.after(() => positions.close());
  await positions.publish(B, { every_ms: 4, window: 50 });
  await positions.publish(C, { every_ms: 4, window: 50 });
  return positions;
}

// ---- a node that dies ----

test('a node killed with -9: its interest disappears everywhere, at one position, when its lease is over', async (t) => {
  const { nodes } = await openNodes(t);
  const [A, B, C] = nodes;
  await interested(t, A);
  const positions = await openPositions(t, nodes);
  const askers = [await connect(t, B), await connect(t, C)];
  for (const asker of askers) {
    const { channels, patterns } = await counts(asker);
    assert.deepEqual(channels, CHANNELS.map((_, p) => (p === 1 ? 2 : 1)));
    assert.equal(patterns, 1);
  }
  await positions.progress(50, RECOVERY_MS);
  assert.deepEqual(positions.latest, [3, 3]);
  const start = performance.now();
  await A.kill9();
  const gone = [];
  await until(DEAD_MS + SLACK_MS, () => `gone from every partition; from ${gone.filter(Boolean)} ms`, async () => {
    for (const asker of askers) {
      const now = await counts(asker);
      now.channels.forEach((count, p) => {
        if (count === (p === 1 ? 1 : 0)) gone[p] ??= Math.round(performance.now() - start);
      });
      if (now.patterns || now.shards.some(Boolean) || gone.filter(Boolean).length < PARTITIONS) return false;
    }
    return true;
  });
  note(`lease ${LEASE_MS} ms; gone from the partitions after ${gone.join(', ')} ms`);
  assert.ok(Math.min(...gone) > HEARTBEAT_MS, 'not before the lease could be over');
  await positions.progress(50, RECOVERY_MS);
  assert.deepEqual(steps(await positions.finish(RECOVERY_MS)), [3, 1], 'B and C count the same at each position');
  assert.deepEqual(positions.faults, []);
  await A.start();
  assert.deepEqual(await counts(askers[0]), { channels: CHANNELS.map((_, p) => (p === 1 ? 1 : 0)), shards: each(0), patterns: 0 });
}, { deadline_ms: 90000 });

test('the same when nobody publishes: heartbeats alone tell it', async (t) => {
  const { nodes } = await openNodes(t);
  const [A, B, C] = nodes;
  await interested(t, A);
  await interested(t, C);
  const watcher = await connect(t, B);
  const start = performance.now();
  await A.kill9();
  // SIDEBUS NODES is local: asking it puts nothing into the log.
  await until(DEAD_MS + SLACK_MS, 'the node is no member any more', () => lacks(watcher, 'a'), 20);
  note(`lease ${LEASE_MS} ms; gone after ${Math.round(performance.now() - start)} ms (at most ${DEAD_MS} by the rules)`);
  assert.deepEqual(await counts(watcher), expected(1, 1, 1));
  await A.start();
}, { deadline_ms: 90000 });

test('a node killed with -9 that is started again at once: its old interest ends when it joins, not with the lease', async (t) => {
  const { nodes } = await openNodes(t);
  const [A, B] = nodes;
  await interested(t, A);
  const positions = await openPositions(t, nodes);
  await positions.progress(20, RECOVERY_MS);
  await A.kill9();
  await A.start();
  const asker = await connect(t, B);
  assert.deepEqual(await counts(asker), { channels: [0, 1, 0, 0], shards: each(0), patterns: 0 });
  await interested(t, A);
  await positions.progress(20, RECOVERY_MS);
  const seen = steps(await positions.finish(RECOVERY_MS));
  assert.deepEqual([seen[0], Math.min(...seen), seen.at(-1)], [3, 1, 3], `${seen}`);
  assert.deepEqual(seen.filter((count) => count !== 2), [3, 1, 3], `${seen}: 2 when the channel is told and the pattern not yet`);
}, { deadline_ms: 90000 });

test('a node stopped with SIGTERM: its interest ends with it, at one position', async (t) => {
  const { nodes } = await openNodes(t);
  const [A, B] = nodes;
  await interested(t, A);
  const positions = await openPositions(t, nodes);
  await positions.progress(20, RECOVERY_MS);
  const asker = await connect(t, B);
  await A.stop();
  assert.deepEqual(await counts(asker), { channels: [0, 1, 0, 0], shards: each(0), patterns: 0 });
  await positions.progress(20, RECOVERY_MS);
  const seen = steps(await positions.finish(RECOVERY_MS));
  assert.deepEqual(seen.filter((count) => count !== 2), [3, 1], `${seen}`);
}, { deadline_ms: 90000 });

// ---- a broker that is away ----

test('an outage of the broker longer than the lease kills nobody', async (t) => {
  const { nodes } = await openNodes(t);
  const got = nodes.map(() => []);
  const sessions = [];
  for (const [i, node] of nodes.entries()) sessions.push(await interested(t, node, (channel, payload, pattern, kind) => kind === 'message' && got[i].push(`${channel} ${payload}`)));
  const watchers = await Promise.all(nodes.map((node) => connect(t, node)));
  const before = await members(watchers[0]);
  assert.deepEqual(Object.keys(before[0]).sort(), ['a', 'b', 'c']);
  await broker.durable();
  await broker.kill();
  const down = performance.now();
  const waiting = watchers.flatMap((watcher, i) => CHANNELS.map((channel) => watcher.request('PUBLISH', channel, `waits ${i}`)));
  // What is waited for is time itself: the lease of everybody must be over.
  await until(RECOVERY_MS, 'two leases are over', () => performance.now() - down > 2 * LEASE_MS, 50);
  await broker.restart();
  note(`the broker was away for ${Math.round(performance.now() - down)} ms, the lease is ${LEASE_MS} ms`);
  assert.deepEqual(await within(RECOVERY_MS, 'the publishes that waited', Promise.all(waiting)), waiting.map(() => 6));
  const up = performance.now();
  await until(RECOVERY_MS, 'who would be declared dead now would be', () => performance.now() - up > DEAD_MS, 50);
  for (const [i, watcher] of watchers.entries()) {
    assert.deepEqual(await members(watcher), before, `node ${i + 1}`);
    assert.deepEqual(await counts(watcher), expected(3, 3, 1));
    const info = await nodes[i].info();
    assert.deepEqual([info.rejoins, info.members_declared_dead, info.gaps, info.divergences], ['0', '0', '0', '0'], `node ${i + 1}`);
    assert.ok(!sessions[i].closed && !watcher.closed, 'sessions stay connected');
  }
  const all = watchers.flatMap((_, i) => CHANNELS.map((channel) => `${channel} waits ${i}`)).sort();
  for (const list of got) assert.deepEqual([...list].sort(), all, 'each message came once');
}, { deadline_ms: 120000 });

// ---- a node that is cut off ----

const CUTS = {
  'stopped with SIGSTOP': { begin: ({ nodes }) => nodes[0].signal('SIGSTOP'), end: ({ nodes }) => nodes[0].signal('SIGCONT') },
  'stopped with SIGSTOP until the broker closes its connections,': {
    heartbeat_s: 2, // the broker gives up after two of them
    begin: ({ nodes }) => nodes[0].signal('SIGSTOP'),
    end: async ({ nodes, proxy }) => {
      await until(RECOVERY_MS, 'the broker closes them',
        () => [...proxy.pairs].every((pair) => pair.upstream.destroyed || pair.upstream.readableEnded), 50);
      nodes[0].signal('SIGCONT');
    },
  },
  'refused by the network': { begin: ({ proxy }) => proxy.refuse(), end: ({ proxy }) => proxy.allow() },
  'cut off by a network that swallows everything': {
    heartbeat_s: 2, begin: ({ proxy }) => proxy.blackhole(), end: ({ proxy }) => proxy.speak(),
  },
};

/** What a session heard of the channel that is published to, as numbers of positions.js. */
const heardBy = (list, channel) => (name, payload, pattern, kind) => {
  if (kind === 'message' && String(name) === channel) list.push(Number(String(payload)));
};

for (const [how, { begin, end, heartbeat_s }] of Object.entries(CUTS)) {
  test(`a node ${how} for longer than its lease is declared dead, joins again by itself, and its sessions miss nothing`, async (t) => {
    const cluster = await openNodes(t, { heartbeat_s });
    const [A, B, C] = cluster.nodes;
    const channel = CHANNELS[2];
    const heard = { a: [], c: [] };
    const session = await interested(t, A, heardBy(heard.a, channel));
    await interested(t, C, heardBy(heard.c, channel));
    const positions = await openPositions(t, cluster.nodes, channel);
    const own = await positions.publish(A, { every_ms: 20, window: 50 }); // the node that is cut off publishes too
    const watchers = [await connect(t, A), await connect(t, B), await connect(t, C)];
    const before = await members(watchers[1]);
    await positions.progress(20, RECOVERY_MS);
    assert.deepEqual(positions.latest, [5, 5, 5], 'the witness, two sessions, a pattern on A and on C');
    await begin(cluster);
    await until(DEAD_MS + SLACK_MS + 8000, 'A is declared dead in every partition', async () =>
      await lacks(watchers[1], 'a') && lacks(watchers[2], 'a'), 20);
    assert.deepEqual(await counts(watchers[1]), { channels: [1, 1, 2, 1], shards: each(1), patterns: 1 });
    const sentBefore = positions.sent;
    await until(RECOVERY_MS, 'B and C go on', () => positions.sent > sentBefore + 100);
    await end(cluster);
    const start = performance.now();
    const back = await until(RECOVERY_MS, 'A is a member again everywhere', async () => {
      const now = await members(watchers[1]);
      return now.every((one) => 'a' in one) && now;
    }, 20);
    await until(RECOVERY_MS, 'its interest counts again, from every node', async () => {
      for (const watcher of watchers) assert.deepEqual(await counts(watcher), { channels: [2, 2, 3, 2], shards: each(2), patterns: 1 });
      return true;
    }, 20);
    note(`counted again ${Math.round(performance.now() - start)} ms after the cut ended`);
    await positions.progress(20, RECOVERY_MS);
    const seen = steps(await positions.finish(RECOVERY_MS));
    assert.deepEqual(positions.faults, [], 'every publish came once and in order, those of A too');
    assert.ok(own.sent > 40);
    assert.deepEqual(seen.filter((count) => count !== 4), [5, 3, 5], `${seen}`);
    await until(RECOVERY_MS, 'the session on A has heard everything', () => heard.a.length >= positions.order.length);
    assert.deepEqual(heard.a, positions.order, 'the session on A heard what the witness heard, in its order, once');
    assert.deepEqual(heard.c, positions.order);
    assert.ok(!session.closed && !own.connection.closed, 'sessions of A stayed connected');
    back.forEach((one, p) => {
      assert.notEqual(one.a, before[p].a, 'A has another incarnation');
      assert.deepEqual([one.b, one.c], [before[p].b, before[p].c], 'the others have theirs');
    });
    const info = await A.info();
    assert.equal(info.gaps, '0');
    assert.ok(Number(info.rejoins) >= 1);
    for (const node of [B, C]) assert.equal((await node.info()).rejoins, '0');
  }, { deadline_ms: 120000 });
}

test('a session that left while its node was cut off is not counted when the node is back', async (t) => {
  const { nodes, proxy } = await openNodes(t);
  const [A, B] = nodes;
  const leaves = await interested(t, A);
  const stays = await interested(t, A);
  const unsubscribes = await interested(t, A);
  const watcher = await connect(t, B);
  assert.deepEqual(await counts(watcher), expected(3, 3, 1));
  proxy.refuse();
  await until(DEAD_MS + SLACK_MS + 8000, 'A is declared dead', () => lacks(watcher, 'a'), 20);
  assert.deepEqual(await counts(watcher), expected(0, 0, 0));
  await leaves.destroy();
  const confirmed = unsubscribes.subscribe('UNSUBSCRIBE', ...CHANNELS);
  const late = await connect(t, A);
  const joined = late.subscribe('SUBSCRIBE', ...CHANNELS, 'lease:late');
  proxy.allow();
  await within(RECOVERY_MS, 'what was asked for during the cut is confirmed', Promise.all([confirmed, joined]));
  // Confirmed is what every node knows; the shard channels of the one that left may follow.
  assert.deepEqual((await counts(watcher)).channels, each(2));
  await until(GONE_MS, 'the session that left is not counted', async () => {
    assert.deepEqual(await counts(watcher), expected(2, 2, 1));
    return true;
  });
  assert.equal(await watcher.request('PUBLISH', CHANNELS[0], 'x'), 2 + 2, 'two sessions, and the pattern of two');
  assert.ok(!stays.closed);
}, { deadline_ms: 90000 });

// ---- an app that dies ----

const APP = `
const socket = require('node:net').connect({ path: process.argv[1] });
socket.write(process.argv[2]);
let text = '';
socket.on('data', (chunk) => {
  text += chunk;
  if (text.split('subscribe').length > Number(process.argv[3])) process.stdout.write('ready');
});`;

test('an app killed with -9 leaves the counts of the other nodes', async (t) => {
  const { nodes } = await openNodes(t);
  const [A, B] = nodes;
  const watcher = await connect(t, B);
  const taken = [];
  for (let round = 0; round < 15; round++) {
    const names = [...CHANNELS, ...Array.from({ length: 500 }, (_, i) => `app:${round}:${i}`)];
    const request = `SUBSCRIBE ${names.join(' ')}\r\nPSUBSCRIBE lease:*\r\n`;
    const app = spawn(process.execPath, ['-e', APP, A.path, request, names.length + 1], { stdio: ['ignore', 'pipe', 'inherit'] });
    t.after(async () => app.kill('SIGKILL'));
    await within(RECOVERY_MS, 'the app subscribes', new Promise((resolve) => app.stdout.once('data', resolve)));
    assert.deepEqual(await counts(watcher), expected(1, 0, 1));
    const start = performance.now();
    app.kill('SIGKILL');
    await until(GONE_MS, 'gone from the counts', async () => {
      const now = await counts(watcher);
      return now.patterns === 0 && now.channels.every((count) => count === 0) &&
        numbers(await watcher.request('PUBSUB', 'NUMSUB', ...names)).every((count) => count === 0);
    }, 1);
    taken.push(performance.now() - start);
  }
  taken.sort((a, b) => a - b);
  note(`with 504 channels and a pattern: median ${taken[7].toFixed(1)} ms, max ${taken[14].toFixed(1)} ms (wanted: 100 ms)`);
  assert.ok(taken[7] < 100, 'usually within 100 ms');
}, { deadline_ms: 90000 });

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
