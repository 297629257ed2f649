'use strict';
// Other AMQP programs at the same exchange and streams: a plain message with a `channel` header reaches
// subscribers; what looks like a batch and is none is counted, skipped, and stops nothing.

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { Broker, Cluster, amqplib, parseInfo, requireSidebus } = require('./harness');
const { slotOf } = require('./load');
const { run, test, until } = require('./tap');

const PARTITIONS = 4;
const ARRIVAL_MS = 10000;
const BATCH = 'application/vnd.sidebus.resp';

let broker;
let cluster;
let connection; // to the broker
let channel;

const partitionOf = (name) => String(slotOf(name) % PARTITIONS);

/** Publishes to the hub's exchange and waits for the broker's confirm. */
async function publish(routingKey, body, properties) {
  channel.publish(cluster.prefix, routingKey, body, { mandatory: true, ...properties });
  await channel.waitForConfirms();
}

/** What subscribers on every node get, as [node index, channel, payload, kind]. */
async function listen(t, command, ...names) {
  const got = [];
  for (const [i, node] of cluster.nodes.entries()) {
    const session = await node.connect({
      onMessage: (name, payload, pattern, kind) => got.push([i, String(name), payload, kind]),
    });
    t.after(() => session.destroy());
    await session.subscribe(command, ...names);
  }
  got.arrived = (count) => until(ARRIVAL_MS, () => `${count} messages, there are ${got.length}`,
    () => got.length >= count);
  return got;
}

for (const [what, body] of [
  ['text', Buffer.from('from outside')], ['binary', Buffer.from(Array.from({ length: 256 }, (_, i) => i))],
  ['empty', Buffer.alloc(0)], ['RESP-like', Buffer.from('*1\r\n$4\r\nQUIT\r\n')],
  ['1 MiB', crypto.randomBytes(1024 * 1024)],
]) {
  test(`a foreign ${what} message reaches the subscribers of its channel header on both nodes`, async (t) => {
    const plain = await listen(t, 'SUBSCRIBE', 'outside:1');
    const pattern = await listen(t, 'PSUBSCRIBE', 'outs?de:*');
    await publish(partitionOf('outside:1'), body, { headers: { channel: 'outside:1' } });
    await plain.arrived(2);
    await pattern.arrived(2);
    for (const got of [plain, pattern]) {
      assert.deepEqual(got.map(([node]) => node).sort(), [0, 1]);
      for (const [, name, payload] of got) {
        assert.equal(name, 'outside:1');
        assert.ok(payload.equals(body), `payload of ${payload.length} bytes`);
      }
    }
  });
}

test('foreign messages and publishes have one order on both nodes', async (t) => {
  const got = await listen(t, 'SUBSCRIBE', 'outside:mixed');
  const session = await cluster.nodes[0].connect();
  t.after(() => session.destroy());
  const partition = partitionOf('outside:mixed');
  await Promise.all(Array.from({ length: 200 }, (_, i) => Promise.all([
    session.request('PUBLISH', 'outside:mixed', `in ${i}`),
    publish(partition, Buffer.from(`out ${i}`), { headers: { channel: 'outside:mixed' } }),
  ])));
  await got.arrived(800);
  const [one, two] = [0, 1].map((node) => got.filter((m) => m[0] === node).map((m) => String(m[2])));
  assert.deepEqual(one, two);
  for (const who of ['in', 'out']) {
    assert.deepEqual(one.filter((text) => text.startsWith(`${who} `)),
      Array.from({ length: 200 }, (_, i) => `${who} ${i}`));
  }
});

/** How many messages a node has refused to understand. */
async function malformed(node) {
  const session = await node.connect();
  try {
    const fields = parseInfo(await session.request('INFO', 'all'));
    const names = Object.keys(fields).filter((name) => /malformed/.test(name));
    assert.equal(names.length, 1, `INFO has one counter of malformed messages: ${names}`);
    return Number(fields[names[0]]);
  } finally {
    await session.destroy();
  }
}

/** The properties of the last real batch in a partition: the headers that a forger would copy. */
async function lastBatch(partition) {
  const reader = await connection.createChannel();
  await reader.prefetch(100);
  const batches = [];
  await reader.consume(`${cluster.prefix}.${partition}`, (message) => {
    batches.push(message);
    reader.ack(message);
  }, { arguments: { 'x-stream-offset': 'first' } });
  const real = () => batches.filter(({ properties }) => properties.headers['sb-num'] > 0);
  const marker = crypto.randomBytes(8).toString('hex');
  await publish(partition, Buffer.from(marker), { headers: { channel: 'outside:marker' } });
  await until(ARRIVAL_MS, 'the stream is read to its end',
    () => batches.some((message) => message.content.toString() === marker));
  await reader.close();
  assert.ok(real().length > 0, 'there are batches');
  return real().at(-1);
}

const plain = (b) => ({ ...b.properties, contentEncoding: undefined, headers: b.headers });
const without = (headers, name) => Object.fromEntries(Object.entries(headers).filter(([key]) => key !== name));

// Each makes [body, properties] of a real batch with the next number, which every node would accept.
const GARBAGE = {
  'sb-v that is a text': (b) => [b.content, { ...b.properties, headers: { ...b.headers, 'sb-v': 'nonsense' } }],
  'sb-v of another version': (b) => [b.content, { ...b.properties, headers: { ...b.headers, 'sb-v': 99 } }],
  'sb-v alone': (b) => [b.content, { contentType: BATCH, headers: { 'sb-v': 1 } }],
  'a random body': (b) => [crypto.randomBytes(500), plain(b)],
  'a body of text': (b) => [Buffer.from('hello world\r\n'), plain(b)],
  'an empty body': (b) => [Buffer.alloc(0), plain(b)],
  'a cut body': (b) => [b.content.subarray(0, -3), { ...b.properties, headers: b.headers }],
  'bytes behind its body': (b) => [Buffer.concat([b.content, Buffer.from('x')]),
    { ...b.properties, headers: b.headers }],
  'lz4 that is none': (b) => [crypto.randomBytes(500), { ...b.properties, contentEncoding: 'lz4', headers: b.headers }],
  'an unknown content encoding': (b) => [b.content, { ...b.properties, contentEncoding: 'gzip', headers: b.headers }],
  'an unknown content type': (b) => [b.content, { ...b.properties, contentType: 'text/plain', headers: b.headers }],
  'no content type': (b) => [b.content, { ...b.properties, contentType: undefined, headers: b.headers }],
  'a wrong count': (b) => [b.content, { ...b.properties, headers: { ...b.headers, 'sb-count': 7 } }],
  'a negative number': (b) => [b.content, { ...b.properties, headers: { ...b.headers, 'sb-num': -1 } }],
  'a number that is a text': (b) => [b.content, { ...b.properties, headers: { ...b.headers, 'sb-num': 'five' } }],
  'a node name of 300 bytes': (b) => [b.content,
    { ...b.properties, headers: { ...b.headers, 'sb-node': 'n'.repeat(300) } }],
  'an incarnation that is none': (b) => [b.content, { ...b.properties, headers: { ...b.headers, 'sb-inc': 'x-y' } }],
  'no node': (b) => [b.content, { ...b.properties, headers: without(b.headers, 'sb-node') }],
  'no number': (b) => [b.content, { ...b.properties, headers: without(b.headers, 'sb-num') }],
  'neither sb-v nor channel': () => [Buffer.from('lost'), { headers: { other: 1 } }],
  'no headers at all': () => [Buffer.from('lost'), {}],
  'a channel header that is a number': () => [Buffer.from('lost'), { headers: { channel: 5 } }],
};

for (const [what, make] of Object.entries(GARBAGE)) {
  test(`a message with ${what} is counted once per node and skipped; later messages flow`, async (t) => {
    const got = await listen(t, 'SUBSCRIBE', 'outside:garbage');
    const partition = partitionOf('outside:garbage');
    const session = await cluster.nodes[0].connect();
    t.after(() => session.destroy());
    await session.request('PUBLISH', 'outside:garbage', 'before');
    const batch = await lastBatch(partition);
    const headers = without(batch.properties.headers, 'x-stream-offset');
    batch.headers = { ...headers, 'sb-num': headers['sb-num'] + 1, 'sb-base': headers['sb-num'] + 1 };
    const before = await Promise.all(cluster.nodes.map(malformed));

    const [body, properties] = make(batch);
    await publish(partition, body, {
      contentType: properties.contentType, contentEncoding: properties.contentEncoding, headers: properties.headers,
    });
    await session.request('PUBLISH', 'outside:garbage', 'after');

    await got.arrived(4);
    assert.deepEqual(got.map(([node, , payload]) => `${node} ${payload}`).sort(),
      ['0 after', '0 before', '1 after', '1 before']);
    const after = await Promise.all(cluster.nodes.map(malformed));
    assert.deepEqual(after, before.map((count) => count + 1));
  });
}

run({
  before: async () => {
    requireSidebus();
    broker = await Broker.start();
    cluster = await Cluster.open({ broker, partitions: PARTITIONS });
    connection = await amqplib.connect(broker.url);
    connection.on('error', () => {}); // calls reject too
    channel = await connection.createConfirmChannel();
  },
  after: async () => {
    if (connection) await connection.close();
    if (cluster) await cluster.close();
    if (broker) await broker.stop();
  },
  afterName: 'the nodes exit with code 0 on SIGTERM',
});
