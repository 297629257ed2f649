'use strict';
// One order: 4 publishers on two nodes, 50 channels, 8 partitions. All subscribers see the same.

const assert = require('node:assert/strict');
const { Cluster, TARGET, brokerForTarget } = require('./harness');
const { Load, slotOf } = require('./load');
const { note, run, test } = require('./tap');

const PARTITIONS = 8;
const CHANNELS = Array.from({ length: 50 }, (_, i) => `room:${i}`);
const MESSAGES = 10000;

let broker;
let cluster;

test('slots are those of Redis Cluster', () => {
  assert.equal(slotOf('123456789'), 0x31c3);
  assert.equal(slotOf('foo'), 12182);
  assert.equal(slotOf('{user1000}.following'), slotOf('user1000'));
  assert.equal(slotOf('foo{}{bar}'), 8363);
  return Promise.resolve();
});

test('the account of the load tests notices what it is there for', () => {
  const account = (firstSaw, secondSaw, answered) => {
    const load = new Load({ channels: ['c'], partitions: 1 });
    load.publishers = [0, 1].map((number) => ({ number, sent: [0, 0, 0], answered }));
    load.subscribers = [firstSaw, secondSaw].map((saw) => ({
      name: 'one', names: 'c', channels: [0],
      groups: new Map([[0, saw.map(([number, sequence]) => number * 2 ** 24 + sequence)]]),
    }));
    for (const subscriber of load.subscribers) load.verifySubscriber(subscriber);
    load.verifySameOrder(...load.subscribers);
  };
  const fence = [2 ** 20, 0];
  const right = [[0, 0], [1, 0], [0, 1], [0, 2], [1, 1], [1, 2], fence];
  account(right, right, 3);
  account(right.slice(0, -2).concat([fence]), right.slice(0, -2).concat([fence]), 2); // an unanswered one may be lost
  const bad = (messages) => assert.throws(() => account(messages, messages, 3));
  bad(right.filter((_, i) => i !== 4)); // lost in the middle
  bad(right.filter((_, i) => i !== 5)); // lost at the end
  bad([right[0], ...right]); // doubled
  bad([right[2], right[1], right[0], ...right.slice(3)]); // a publisher's order
  assert.throws(() => account(right, [right[1], right[0], ...right.slice(2)], 3)); // each in order, not the same
  assert.throws(() => account(right, [...right.slice(0, 5), fence, right[5]], 3)); // the fence elsewhere
  return Promise.resolve();
});

test('the node computes the same slot', async (t) => {
  if (TARGET === 'redis') t.skip('SIDEBUS is not a command of Redis');
  const connection = await cluster.nodes[0].connect();
  t.after(() => connection.destroy());
  for (const channel of [...CHANNELS, 'x{tag}y', '{}z', '']) {
    const reply = await connection.request('SIDEBUS', 'SLOT', channel);
    const text = JSON.stringify(reply.map(String));
    assert.match(text, new RegExp(`\\b${slotOf(channel)}\\b`), `${channel}: ${text}`);
  }
});

async function runLoad(t, { publishers, count, window, payload_bytes }) {
  const load = new Load({ channels: CHANNELS, partitions: PARTITIONS, payload_bytes });
  t.after(() => load.close());
  note(`seed ${load.seed}`);
  for (const node of cluster.nodes) {
    await load.subscribe(node);
    await load.subscribe(node, 'PSUBSCRIBE', ['room:*']);
    for (const channel of CHANNELS) await load.subscribe(node, 'SUBSCRIBE', [channel]);
  }
  for (let i = 0; i < publishers; i++) {
    await load.publish(cluster.nodes[i % cluster.nodes.length], { count, window });
  }
  load.start();
  await load.finished(60000);
  assert.equal(load.answered, publishers * count);
  await load.verify(cluster.nodes[0]);
  const expected = publishers * count + CHANNELS.length;
  for (const subscriber of load.subscribers.filter((one) => one.channels.length === CHANNELS.length)) {
    assert.equal(subscriber.count, expected, subscriber.name);
  }
}

test('4 publishers × 10,000 messages: every channel has one order on both nodes, nothing is lost or doubled', (t) =>
  runLoad(t, { publishers: 4, count: MESSAGES, window: 200, payload_bytes: 64 }), { deadline_ms: 120000 });

test('40 publishers with one message in flight each: the same', (t) =>
  runLoad(t, { publishers: 40, count: 100, window: 1, payload_bytes: 200 }), { deadline_ms: 120000 });

run({
  before: async () => {
    broker = await brokerForTarget();
    cluster = await Cluster.open({ broker, partitions: PARTITIONS });
  },
  after: async () => {
    if (cluster) await cluster.close();
    if (broker) await broker.stop();
  },
  afterName: 'the nodes exit with code 0 on SIGTERM',
});
