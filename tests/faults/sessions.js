'use strict';
// Sessions that misbehave: they are bounded, closed, and disturb nobody.

const assert = require('node:assert/strict');
const { Cluster, TARGET, brokerForTarget } = require('../clients/harness');
const { Load } = require('../clients/load');
const { encode } = require('../clients/resp');
const subscribers = require('../clients/subscribers');
const { note, run, test, until, within } = require('../clients/tap');

const PARTITIONS = 2;
const CHANNELS = ['fan:1', 'fan:2', 'fan:3'];
const HARD_BYTES = 4 * 1024 * 1024;
const SOFT_BYTES = 512 * 1024;
const ARRIVAL_MS = 20000;

let broker;
let cluster;

/** Whether a node lists a session of this name. */
async function isListed(watcher, name) {
  return String(await watcher.request('CLIENT', 'LIST')).includes(` name=${name} `);
}

/** A subscriber that stops reading. */
async function slowSubscriber(t, node, name) {
  const slow = await node.connect();
  t.after(() => slow.destroy());
  await slow.request('CLIENT', 'SETNAME', name);
  await slow.subscribe('SUBSCRIBE', ...CHANNELS);
  slow.socket.pause();
  return slow;
}

async function openFastLoad(t, payload_bytes) {
  const load = new Load({ channels: CHANNELS, partitions: PARTITIONS, payload_bytes });
  t.after(() => load.close());
  for (const node of cluster.nodes) {
    await load.subscribe(node);
    await load.subscribe(node, 'PSUBSCRIBE', ['fan:*']);
  }
  return load;
}

async function watch(t, node) {
  const watcher = await node.connect();
  t.after(() => watcher.destroy());
  return watcher;
}

test('a subscriber that does not read is closed at its output limit, the others miss nothing', async (t) => {
  const [A, B] = cluster.nodes;
  const load = await openFastLoad(t, 16 * 1024);
  const slow = await slowSubscriber(t, B, 'slow-hard');
  const watcher = await watch(t, B);
  assert.ok(await isListed(watcher, 'slow-hard'));
  const publisher = await load.publish(A, { count: 0, window: 16 });
  for (let round = 0; round < 64; round++) { // 16 MiB: more than the limit and the socket buffers hold
    publisher.more(16);
    await load.arrived(ARRIVAL_MS); // none of those who read falls behind
  }
  await until(ARRIVAL_MS, 'the slow session is gone', async () => !(await isListed(watcher, 'slow-hard')));
  await load.verify(A);
  slow.socket.resume();
  await within(ARRIVAL_MS, 'the slow session sees its end', slow.whenClosed);
  if (TARGET !== 'redis') {
    const info = await B.info();
    const names = Object.keys(info).filter((name) => /output.*(limit|disconnect)/.test(name));
    assert.ok(names.some((name) => Number(info[name]) >= 1), `INFO counts it: ${names}`);
  }
});

test('a subscriber above the soft limit is closed when it stays there for its seconds', async (t) => {
  const [A, B] = cluster.nodes;
  const slow = await slowSubscriber(t, B, 'slow-soft');
  const watcher = await watch(t, B);
  const publisher = await watch(t, A);
  const payload = Buffer.alloc(16 * 1024);
  const count = 2 * 1024 * 1024 / payload.length;
  await Promise.all(Array.from({ length: count }, () => publisher.request('PUBLISH', CHANNELS[0], payload)));
  assert.ok(await isListed(watcher, 'slow-soft'), 'not at once');
  await until(ARRIVAL_MS, 'the slow session is gone', async () => {
    await publisher.request('PUBLISH', CHANNELS[0], 'trickle'); // Redis looks when it writes
    return !(await isListed(watcher, 'slow-soft'));
  }, 50);
  slow.socket.resume();
  await within(ARRIVAL_MS, 'the slow session sees its end', slow.whenClosed);
});

test('subscribers that read a little at a time or nothing are waited for briefly, then closed', async (t) => {
  if (TARGET === 'redis') t.skip('Redis waits for nobody');
  const [A, B] = cluster.nodes;
  const load = await openFastLoad(t, 16 * 1024);
  const before = await B.info();
  const closed = async () => {
    const { client_output_buffer_limit_disconnections: now } = await B.info();
    return now - before.client_output_buffer_limit_disconnections;
  };
  for (let i = 0; i < 10; i++) {
    subscribers.slowSubscriber(t, B, CHANNELS[i % 3], { bytes: 64 * (i % 2), every_ms: 100 });
  }
  const watcher = await watch(t, B);
  await until(ARRIVAL_MS, 'all subscribe', async () =>
    (await watcher.request('PUBSUB', 'NUMSUB', CHANNELS[0]))[1] === cluster.nodes.length + 4);
  const publisher = await load.publish(A, { count: 0, window: 16 });
  for (let round = 0; (await closed()) < 10; round++) {
    assert.ok(round < 200, `${await closed()} of 10 are closed`);
    publisher.more(16);
    await load.arrived(ARRIVAL_MS); // none of those who read falls behind
  }
  await load.verify(A);
  const after = await B.info();
  const stood_ms = after.paced_ms - before.paced_ms;
  note(`the log stood for ${stood_ms} ms`);
  assert.ok(after.paced_times > before.paced_times, 'they were waited for');
  assert.ok(stood_ms < 4000, 'all ten no longer than the budget of a node');
}, { deadline_ms: 60000 });

test('a publisher that does not read its replies does not stop the others', async (t) => {
  const [A, B] = cluster.nodes;
  const rude = await A.connect();
  t.after(() => rude.destroy());
  rude.socket.pause();
  const one = encode(['PUBLISH', 'rude', 'x'.repeat(100)]);
  for (let i = 0; i < 200; i++) rude.socket.write(Buffer.concat(Array.from({ length: 500 }, () => one)));
  const load = await openFastLoad(t, 200);
  await load.publish(A, { count: 2000 });
  await load.publish(B, { count: 2000 });
  load.start();
  await load.finished(ARRIVAL_MS);
  await load.verify(B);
});

test('a session that disappears with publishes in flight leaves the others in order', async (t) => {
  const [A, B] = cluster.nodes;
  const load = await openFastLoad(t, 200);
  for (let i = 0; i < 8; i++) await load.publish(i % 2 ? A : B, { window: 50 });
  load.start();
  await load.progress(500, ARRIVAL_MS);
  for (const publisher of load.publishers.slice(0, 4)) await publisher.connection.destroy();
  await load.progress(500, ARRIVAL_MS);
  await load.finish(ARRIVAL_MS);
  assert.equal(load.publishers.filter((publisher) => publisher.lost).length, 4);
  await load.verify(A);
});

test('200 sessions that come and go with half a request leave no descriptor open', async (t) => {
  const [A] = cluster.nodes;
  const watcher = await watch(t, A);
  await watcher.request('PING');
  await until(5000, 'sessions of earlier tests are gone',
    async () => String(await watcher.request('CLIENT', 'LIST')).trim().split('\n').length === 1);
  const before = A.descriptors();
  for (let round = 0; round < 4; round++) {
    const sessions = await Promise.all(Array.from({ length: 50 }, () => A.connect()));
    sessions.forEach((session, i) => session.socket.write(encode(['SUBSCRIBE', `gone:${i}`]).subarray(0, 5 + i)));
    await Promise.all(sessions.map((session) => session.destroy()));
  }
  await until(5000, () => `${A.descriptors()} descriptors, ${before} before`, () => A.descriptors() <= before);
  assert.equal((await watcher.request('PUBSUB', 'NUMSUB', 'gone:30'))[1], 0);
});

run({
  before: async () => {
    broker = await brokerForTarget();
    cluster = await Cluster.open({
      broker,
      partitions: PARTITIONS,
      settings: `limits = { output = { hard_bytes = ${HARD_BYTES}; soft_bytes = ${SOFT_BYTES}; soft_seconds = 1; }; };`,
      redis: { args: ['--client-output-buffer-limit', `pubsub ${HARD_BYTES} ${SOFT_BYTES} 1`] },
    });
    note(`target: ${TARGET}`);
  },
  after: async () => {
    if (cluster) await cluster.close();
    if (broker) await broker.stop();
  },
  afterName: 'the nodes exit with code 0 on SIGTERM',
});
