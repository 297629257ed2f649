'use strict';
// The network between sidebus and the broker, played by a proxy: cut in the middle of frames, gone silent,
// refused for longer than the outbox lasts. Sessions stay connected through all of it.

const assert = require('node:assert/strict');
const { Broker, Cluster, requireSidebus } = require('../clients/harness');
const { Load } = require('../clients/load');
const { Proxy } = require('../clients/proxy');
const { note, run, test, until, within } = require('../clients/tap');

const PARTITIONS = 4;
const CHANNELS = Array.from({ length: 12 }, (_, i) => `link:${i}`);
const QUICK = { backoff_min_ms: 10, backoff_max_ms: 200, heartbeat_s: 2, connect_timeout_ms: 1000, rpc_timeout_ms: 1500 };
const RECOVERY_MS = 30000;
const CUTS = 20;

let broker;
let proxy;

async function openCluster(t, settings = '') {
  const cluster = await Cluster.open({
    broker, brokerPort: proxy.port, partitions: PARTITIONS, rabbitmq: QUICK, settings,
  });
  t.after(async () => {
    proxy.speak();
    proxy.allow();
    await cluster.close();
  });
  return cluster;
}

/** Two publishers and a subscriber per node, paced so that the machine has room for the broker too. */
async function openLoad(t, cluster, options = { window: 200, burst: 5, every_ms: 5 }) {
  const load = new Load({ channels: CHANNELS, partitions: PARTITIONS, payload_bytes: 300 });
  t.after(() => load.close());
  note(`seed ${load.seed}`);
  for (const node of cluster.nodes) {
    await load.subscribe(node);
    await load.publish(node, options);
    await load.publish(node, options);
  }
  return load;
}

function assertAllConnected(load) {
  for (const one of [...load.publishers, ...load.subscribers]) assert.ok(!one.connection.closed, load.state);
}

test(`the connections are cut ${CUTS} times in mid-batch: all arrives once and in order`, async (t) => {
  const cluster = await openCluster(t);
  const load = await openLoad(t, cluster);
  load.start();
  await load.progress(500, RECOVERY_MS);
  for (let i = 0; i < CUTS; i++) {
    // Every third cut falls into the first bytes of the reconnect, which are protocol and not batches.
    const bytes = i % 3 === 2 ? 1 + Math.floor(load.random() * 3000) : 1 + Math.floor(load.random() * 200000);
    await within(RECOVERY_MS, `cut ${i} after ${bytes} bytes (${load.state})`, proxy.cutAfter(bytes));
    if (i % 3 !== 1) await load.progress(100, RECOVERY_MS);
  }
  await load.progress(500, RECOVERY_MS);
  await load.finish(RECOVERY_MS);
  assertAllConnected(load);
  await load.verify(cluster.nodes[0]);
}, { deadline_ms: 120000 });

test('the network is silent for a moment: publishes wait and go on where they were', async (t) => {
  const cluster = await openCluster(t);
  const load = await openLoad(t, cluster);
  load.start();
  await load.progress(500, RECOVERY_MS);
  proxy.blackhole();
  await until(RECOVERY_MS, 'every publisher waits with a full window',
    () => load.publishers.every((one) => one.sent.length - one.answered >= one.window));
  proxy.speak();
  await load.progress(500, RECOVERY_MS);
  await load.finish(RECOVERY_MS);
  assertAllConnected(load);
  await load.verify(cluster.nodes[0]);
}, { deadline_ms: 90000 });

test('the network is silent until the nodes give up: what it still delivers later does no harm', async (t) => {
  const cluster = await openCluster(t);
  const load = await openLoad(t, cluster);
  load.start();
  await load.progress(500, RECOVERY_MS);
  const accepted = proxy.accepted;
  proxy.blackhole();
  // Each node has a publish and a consume connection; all four are given up and tried anew.
  await until(RECOVERY_MS, () => `new connections (${proxy.accepted - accepted})`,
    () => proxy.accepted >= accepted + 4);
  proxy.speak();
  await load.progress(500, RECOVERY_MS);
  await load.finish(RECOVERY_MS);
  assertAllConnected(load);
  await load.verify(cluster.nodes[0]);
}, { deadline_ms: 90000 });

test('an outage longer than the outbox pauses publishers, memory is bounded, then all goes through', async (t) => {
  const cluster = await openCluster(t, 'outbox = { max_bytes = 1048576; }; limits = { request_bytes = 65536; };');
  const [A] = cluster.nodes;
  const load = new Load({ channels: CHANNELS, partitions: PARTITIONS, payload_bytes: 1024 });
  t.after(() => load.close());
  note(`seed ${load.seed}`);
  for (const node of cluster.nodes) await load.subscribe(node);
  for (let i = 0; i < 4; i++) await load.publish(A, { count: 6000, window: Infinity });
  const before = A.residentBytes();
  proxy.refuse();
  load.start();
  const queued = () => load.publishers.reduce((sum, one) => sum + one.connection.socket.writableLength, 0);
  let last = 0;
  let same = 0;
  await until(RECOVERY_MS, 'the node stops reading from its publishers', () => {
    same = queued() === last && last > 0 ? same + 1 : 0;
    last = queued();
    return same >= 20;
  }, 50);
  assert.ok(load.publishers.every((one) => one.connection.socket.writableLength > 0), 'each publisher is paused');
  const grown = A.residentBytes() - before;
  note(`${last} bytes held back at the publishers, ${grown} more in the node`);
  assert.ok(grown < 16 * 1024 * 1024, `the node grew by ${grown} bytes`);

  const other = await A.connect();
  t.after(() => other.destroy());
  assert.equal(await within(1000, 'PING in an outage', other.request('PING')), 'PONG');
  assertAllConnected(load);

  proxy.allow();
  await load.finished(60000);
  assert.equal(load.answered, 4 * 6000);
  await load.verify(A);
}, { deadline_ms: 120000 });

test('a broker that is back is used at once, whatever pause is set for what it refuses', async (t) => {
  const cluster = await Cluster.open({
    broker, brokerPort: proxy.port, partitions: PARTITIONS,
    rabbitmq: { ...QUICK, backoff_min_ms: 20000, backoff_max_ms: 60000 },
  });
  t.after(async () => {
    proxy.allow();
    await cluster.close();
  });
  const [A] = cluster.nodes;
  const session = await A.connect();
  t.after(() => session.destroy());
  await session.request('PUBLISH', 'back', 'before');
  for (let i = 0; i < 3; i++) {
    const accepted = proxy.accepted;
    proxy.refuse();
    const outage = await until(RECOVERY_MS, 'INFO says why', async () => {
      const { outage: why } = await A.info();
      return why !== '' && why !== 'connection lost' && why;
    });
    assert.match(outage, /^rabbitmq 127\.0\.0\.1/);
    proxy.allow();
    const start = Date.now();
    await session.request('PUBLISH', 'back', 'after');
    note(`${Date.now() - start} ms after it was back: ${outage}; ${proxy.accepted - accepted} connections`);
    assert.ok(Date.now() - start < 9000, 'sooner than the first pause that is set');
  }
}, { deadline_ms: 90000 });

test('outage = "refuse" answers -BUSY at once, with why and since when, until the broker is back, and closes whom it refused', async (t) => {
  const cluster = await openCluster(t, 'outage = "refuse";');
  const [A, B] = cluster.nodes;
  const got = [];
  const subscriber = await B.connect({ onMessage: (channel, payload) => got.push(String(payload)) });
  const session = await A.connect();
  t.after(() => subscriber.destroy());
  t.after(() => session.destroy());
  await subscriber.subscribe('SUBSCRIBE', 'refused');
  await session.request('PUBLISH', 'refused', 'before');
  proxy.refuse();
  // What is accepted before the node notices is not refused any more: it waits, and its session with it.
  const refusal = await until(RECOVERY_MS, 'a refusal', async () => {
    const early = await A.connect();
    t.after(() => early.destroy());
    return within(500, 'a reply', early.request('PUBLISH', 'refused', 'early')).then(() => undefined, (error) =>
      /^BUSY /.test(error.message) && error);
  });
  assert.match(refusal.message, /since|for \d/);
  const start = Date.now();
  await assert.rejects(within(1000, 'the refusal', session.request('PUBLISH', 'refused', 'again')), /^Error: BUSY /);
  note(`after ${Date.now() - start} ms: ${refusal.message}`);
  assert.equal(await session.request('PING'), 'PONG');
  const spared = await A.connect();
  t.after(() => spared.destroy());
  assert.equal(await spared.request('PING'), 'PONG');
  proxy.allow();
  await until(RECOVERY_MS, 'who was refused is closed, to begin anew', () => session.closed, 50);
  await until(RECOVERY_MS, 'publishes are taken again', async () => {
    const anew = await A.connect();
    t.after(() => anew.destroy());
    return anew.request('PUBLISH', 'refused', 'after').then(() => true, () => false);
  }, 50);
  assert.equal(await spared.request('PING'), 'PONG');
  await until(RECOVERY_MS, 'the message arrives', () => got.includes('after'));
  assert.equal(got[0], 'before');
  assert.equal(got.at(-1), 'after');
  assert.ok(!got.includes('again'), 'what was refused is not delivered');
}, { deadline_ms: 90000 });

run({
  before: async () => {
    requireSidebus();
    broker = await Broker.start();
    proxy = await Proxy.start(broker.port);
  },
  after: async () => {
    if (proxy) await proxy.close();
    if (broker) await broker.stop();
  },
  afterName: 'the broker stops',
});
