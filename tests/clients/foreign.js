'use strict';
// Other AMQP programs at the same exchange and streams: a plain message with a `channel` header reaches
// subscribers; what looks like a batch and is none is counted, skipped, and stops nothing. And who may speak at all, in a
// hub whose nodes sign what they send.

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const fs = require('node:fs');
const { Broker, Cluster, Sidebus, amqplib, parseInfo, requireSidebus, temporaryDirectory, writeSecret } = require('./harness');
const { slotOf } = require('./load');
const { run, test, until, within } = require('./tap');

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

test('a batch that somebody wrote in the name of a node answers nobody, and the node goes on behind it', async (t) => {
  const name = 'outside:guise';
  const partition = partitionOf(name);
  const got = await listen(t, 'SUBSCRIBE', name);
  const session = await cluster.nodes[0].connect();
  t.after(() => session.destroy());
  const counts = async (key) => Promise.all(cluster.nodes.map(async (node) => Number((await node.info())[key])));
  const before = await counts('batches_impersonated');
  const fakes = () => got.filter((m) => String(m[2]) === 'fake').length;
  for (let i = 0; i < 10 && fakes() === 0; i += 1) {
    await session.request('PUBLISH', name, 'real');
    const { content, properties: { contentType, headers: { 'x-stream-offset': offset, ...sound } } } = await lastBatch(partition);
    assert.equal(sound['sb-node'], 'node-1');
    const number = sound['sb-num'] + 1;
    const [duplicates] = await counts('batches_duplicate');
    await publish(partition, Buffer.from(content.toString().replace('real', 'fake')),
      { contentType, headers: { ...without(sound, 'sb-sum'), 'sb-num': number, 'sb-base': number } });
    // The node may have sent a heartbeat under that number meanwhile.
    await until(ARRIVAL_MS, 'it is read', async () => fakes() === 2 || (await counts('batches_duplicate'))[0] > duplicates);
  }
  assert.equal(await within(ARRIVAL_MS, 'the next one has a number of its own', session.request('PUBLISH', name, 'next')), 2);
  await until(ARRIVAL_MS, 'it arrives', () => got.filter((m) => String(m[2]) === 'next').length === 2);
  assert.deepEqual(await counts('batches_impersonated'), [before[0] + 1, before[1]]);
  for (const node of [0, 1]) {
    const texts = got.filter((m) => m[0] === node).map((m) => String(m[2]));
    assert.equal(texts.filter((text) => text === 'fake').length, 1);
    assert.equal(texts.at(-1), 'next');
  }
});

// ---- hubs with a key ----

const KEY_1 = 'ZmFrZSBrZXkgb25lIGZvciB0ZXN0cyBvbmx5ISEhISE=';
const KEY_2 = 'YW5vdGhlciBmYWtlIGtleSBmb3IgdGVzdHMgb25seSE=';

let dir; // of key files

function hubOf(name, key, other) {
  const files = [['key_file', key], ['other_key_file', other]].filter(([, secret]) => secret)
    .map(([setting, secret]) => `${setting} = "${writeSecret(dir, `${name}.${setting}`, secret)}";`);
  return `hub = { ${files.join(' ')} };`;
}

/** A hub like the one above, whose nodes have a key; the tests' messages go to it until the test ends. */
async function openSigned(t, options) {
  const hub = await Cluster.open({
    broker, partitions: PARTITIONS, settings: (i) => hubOf(`node-${i + 1}`, KEY_1), ...options,
  });
  t.after(() => hub.close());
  const before = cluster;
  cluster = hub;
  t.after(() => { cluster = before; });
  /** As an operator does it: writes the files, then SIGHUP. */
  hub.change = async (node, key, other) => {
    const text = fs.readFileSync(node.file, 'utf8').replace(/^hub = .*$/m, hubOf(node.name, key, other));
    fs.writeFileSync(node.file, text);
    const from = node.stderr.length;
    node.signal('SIGHUP');
    await until(ARRIVAL_MS, () => `settings are read again: ${node.tail()}`,
      () => node.stderr.slice(from).includes('SIGHUP: settings read again'));
  };
  return hub;
}

const refusals = async (node) => {
  const info = await node.info();
  return [info.batches_unsigned, info.batches_forged, info.batches_malformed].map(Number);
};

const SIGNED_CHANNEL = 'outside:signed';

/** What somebody without the key can write who may read and publish: [what, make(batch), where, unsigned, forged]. */
const FORGERIES = [
  ['a foreign message', () => [Buffer.from('x'), { headers: { channel: SIGNED_CHANNEL } }], 0, 1, 0],
  ['an unsigned batch', (b) => [b.content, { ...b.properties, headers: without(b.next, 'sb-mac') }], 0, 1, 0],
  ['an unsigned HELLO of another node', (b) => [Buffer.from('*4\r\n$7\r\nSIDEBUS\r\n$5\r\nHELLO\r\n$1\r\n4\r\n$1\r\n1\r\n'),
    { contentType: BATCH, headers: { ...without(b.next, 'sb-mac'), 'sb-num': 0, 'sb-base': 0, 'sb-node': 'mallory' } }], 0, 1, 0],
  ['a batch with the signature of the one before', (b) => [b.content, { ...b.properties, headers: b.next }], 0, 0, 1],
  ['a batch with another body', (b) => [Buffer.from(b.content.toString().replace('before', 'forged')),
    { ...b.properties, headers: b.same }], 0, 0, 1],
  ['a signature that is none', (b) => [b.content, { ...b.properties, headers: { ...b.next, 'sb-mac': 5 } }], 0, 0, 1],
  ['a batch copied from another partition', (b) => [b.content, { ...b.properties, headers: b.same }], 1, 0, 1],
  ['garbage', () => [crypto.randomBytes(500), { headers: { 'sb-v': 1 } }], 0, 1, 0],
];

test('with a key nothing counts that is not signed with it, on all nodes alike, and messages flow on', async (t) => {
  const hub = await openSigned(t);
  const got = await listen(t, 'SUBSCRIBE', SIGNED_CHANNEL);
  const session = await hub.nodes[0].connect();
  t.after(() => session.destroy());
  const partition = partitionOf(SIGNED_CHANNEL);
  await session.request('PUBLISH', SIGNED_CHANNEL, 'before');
  const batch = await lastBatch(partition);
  batch.same = without(batch.properties.headers, 'x-stream-offset');
  batch.next = { ...batch.same, 'sb-num': batch.same['sb-num'] + 1, 'sb-base': batch.same['sb-num'] + 1 };
  assert.match(batch.same['sb-mac'], /^[0-9a-f]{64}$/);
  await until(ARRIVAL_MS, 'the marker, which is unsigned, was refused by both',
    async () => (await Promise.all(hub.nodes.map(refusals))).every(([unsigned]) => unsigned === 1));
  for (const [what, make, shift, ...counted] of FORGERIES) {
    const [one, two] = await Promise.all(hub.nodes.map(refusals));
    const [body, properties] = make(batch);
    await publish(String((Number(partition) + shift) % PARTITIONS), body, {
      contentType: properties.contentType, headers: properties.headers,
    });
    const wanted = [one, two].map(([unsigned, forged, malformed]) => [unsigned + counted[0], forged + counted[1], malformed]);
    let now;
    await until(ARRIVAL_MS, () => `${what}: refused are ${JSON.stringify(now)}, not ${JSON.stringify(wanted)}`, async () => {
      now = await Promise.all(hub.nodes.map(refusals));
      return JSON.stringify(now) === JSON.stringify(wanted);
    });
  }
  await session.request('PUBLISH', SIGNED_CHANNEL, 'after');
  await got.arrived(4);
  assert.deepEqual(got.map(([node, , payload]) => `${node} ${payload}`).sort(), ['0 after', '0 before', '1 after', '1 before']);
  assert.equal((await hub.nodes[0].info()).foreign_messages, '0');
  for (const node of hub.nodes) {
    assert.match(node.stderr, /dropped: it is not signed, and this node has a hub\.key_file/);
    assert.match(node.stderr, /dropped: its signature is of no key that this node has/);
    assert.ok(!node.stderr.includes(KEY_1), 'no key is logged');
  }
});

test('a key is changed in the steps of docs/operations.md while messages flow: none is refused, doubled or lost', async (t) => {
  const hub = await openSigned(t);
  const got = await listen(t, 'SUBSCRIBE', SIGNED_CHANNEL);
  const sessions = await Promise.all(hub.nodes.map((node) => node.connect()));
  t.after(() => Promise.all(sessions.map((session) => session.destroy())));
  let sent = 0;
  let over = false;
  const publishing = sessions.map(async (session) => {
    while (!over) await session.request('PUBLISH', SIGNED_CHANNEL, String(sent++));
  });
  for (const [key, other] of [[KEY_1, KEY_2], [KEY_2, KEY_1], [KEY_2]]) {
    for (const node of hub.nodes) {
      const from = got.length;
      await hub.change(node, key, other);
      await got.arrived(from + 20);
    }
  }
  over = true;
  await Promise.all(publishing);
  await got.arrived(2 * sent);
  for (const node of [0, 1]) {
    const numbers = got.filter((one) => one[0] === node).map((one) => Number(one[2])).sort((a, b) => a - b);
    assert.deepEqual(numbers, Array.from({ length: sent }, (_, i) => i));
  }
  for (const node of hub.nodes) {
    assert.deepEqual(await refusals(node), [0, 0, 0], node.tail());
    assert.ok(!node.stderr.includes(KEY_2), 'no key is logged');
  }
});

test('other programs publish through an exchange of their own, also with a key, and speak for no node there', async (t) => {
  const hub = await openSigned(t, { rabbitmq: { foreign_exchange: true } });
  const got = await listen(t, 'SUBSCRIBE', SIGNED_CHANNEL);
  const session = await hub.nodes[0].connect();
  t.after(() => session.destroy());
  const partition = partitionOf(SIGNED_CHANNEL);
  const outside = async (body, properties) => {
    channel.publish(`${hub.prefix}.foreign`, partition, body, { mandatory: true, ...properties });
    await channel.waitForConfirms();
  };
  await session.request('PUBLISH', SIGNED_CHANNEL, 'in 0');
  const batch = await lastBatch(partition);
  const next = { ...without(batch.properties.headers, 'x-stream-offset'), 'sb-num': batch.properties.headers['sb-num'] + 1 };
  await outside(batch.content, { contentType: BATCH, headers: next });
  await outside(batch.content, { contentType: BATCH, headers: without(next, 'sb-mac') });
  await publish(partition, Buffer.from('at the wrong door'), { headers: { channel: SIGNED_CHANNEL } });
  for (let i = 1; i < 20; i++) {
    await Promise.all([session.request('PUBLISH', SIGNED_CHANNEL, `in ${i}`),
      outside(Buffer.from(`out ${i}`), { headers: { channel: SIGNED_CHANNEL } })]);
  }
  await got.arrived(2 * 39);
  const [one, two] = [0, 1].map((node) => got.filter((m) => m[0] === node).map((m) => String(m[2])));
  assert.deepEqual(one, two);
  assert.deepEqual(one.filter((text) => text.startsWith('out')), Array.from({ length: 19 }, (_, i) => `out ${i + 1}`));
  assert.deepEqual(one.filter((text) => text.startsWith('in')), Array.from({ length: 20 }, (_, i) => `in ${i}`));
  for (const node of hub.nodes) {
    const info = await node.info();
    assert.deepEqual([info.batches_untrusted, info.batches_forged, info.batches_unsigned, info.foreign_messages], ['2', '0', '2', '19']);
  }
});

test('nodes with and without a key, and with another, take nothing from each other, and say so', async (t) => {
  const hub = await openSigned(t, { count: 1 });
  const [keyed] = hub.nodes;
  const topics = { prefix: hub.prefix, partitions: PARTITIONS };
  const others = [['keyless', ''], ['stranger', hubOf('stranger', KEY_2)]]
    .map(([name, settings]) => new Sidebus(name, dir, { broker, topics, settings, found_ms: 500 }));
  t.after(() => Promise.all(others.map((node) => node.stop())));
  await Promise.all(others.map((node) => node.start()));
  hub.nodes.push(...others);
  const got = await listen(t, 'SUBSCRIBE', SIGNED_CHANNEL);
  for (const node of hub.nodes) {
    const session = await node.connect();
    t.after(() => session.destroy());
    assert.equal(await session.request('PUBLISH', SIGNED_CHANNEL, node.name), 1, 'only its own subscriber counts');
  }
  await until(ARRIVAL_MS, 'all have refused the others', async () => {
    const [mine, none, other] = await Promise.all(hub.nodes.map(refusals));
    return mine[0] > 0 && mine[1] > 0 && none[0] === 0 && none[1] > 0 && other[0] > 0 && other[1] > 0;
  });
  assert.deepEqual(got.map(([node, , payload]) => `${node} ${payload}`).sort(), ['0 node-1', '1 keyless', '2 stranger']);
  assert.match(others[0].stderr, /its signature is of no key that this node has/);
  assert.match(keyed.stderr, /it is not signed/);
}, { deadline_ms: 60000 });

run({
  before: async () => {
    requireSidebus();
    dir = temporaryDirectory();
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
