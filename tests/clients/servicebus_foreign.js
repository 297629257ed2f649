'use strict';
// Microsoft's own client (@azure/service-bus) beside two nodes: each receives what the other sends. What looks like a
// batch and is none is counted, skipped, and stops nothing.

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { createRequire } = require('node:module');
const path = require('node:path');
const { Cluster, ROOT, ServiceBus, parseInfo, requireSidebus, temporaryDirectory, writeSecret } = require('./harness');
const { slotOf } = require('./load');
const { run, test, until } = require('./tap');

const PARTITIONS = 4;
const ARRIVAL_MS = 10000;
const BATCH = 'application/vnd.sidebus.resp';
const SPY = 'spy'; // a subscription of the client's, in every topic

let broker;
let cluster;
let client;
const senders = new Map(); // topic -> sender
const spies = new Map(); // topic -> messages

const topicOf = (name) => `${cluster.prefix}-${slotOf(name) % PARTITIONS}`;

/** Microsoft's client; over plain AMQP, since Node learns of certificate authorities only at its start. */
function openClient() {
  const { ServiceBusClient } = createRequire(path.join(ROOT, 'tests/servicebus-double/main.js'))('@azure/service-bus');
  return new ServiceBusClient(broker.url, { retryOptions: { maxRetries: 1, timeoutInMs: 10000 } });
}

function senderOf(topic) {
  if (!senders.has(topic)) senders.set(topic, client.createSender(topic));
  return senders.get(topic);
}

/** Sends to the topic of a channel; resolves when the service has accepted it. */
const send = (channel, messages) => senderOf(topicOf(channel)).sendMessages(messages);

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

async function session(t, node) {
  const connection = await node.connect();
  t.after(() => connection.destroy());
  return connection;
}

// ---- from Azure programs to subscribers ----

const ALL_BYTES = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
const LARGE = crypto.randomBytes(200 * 1024);
const annotated = (body, bodyType, more) => ({ body, bodyType, ...more });

// What a program gives to the client, and the payload that it becomes: the client itself writes what is neither
// bytes nor told to be a value as JSON.
for (const [what, message, payload] of [
  ['bytes', { body: ALL_BYTES }, ALL_BYTES],
  ['no bytes', { body: Buffer.alloc(0) }, Buffer.alloc(0)],
  ['200 KiB', { body: LARGE }, LARGE],
  ['a text, which the client writes as JSON', { body: 'from outside ✓' }, Buffer.from('"from outside ✓"')],
  ['an object, which the client writes as JSON', { body: { a: [1, 'two', null] }, contentType: 'application/json' },
    Buffer.from('{"a":[1,"two",null]}')],
  ['a text as an AMQP value', annotated('plain ✓', 'value'), Buffer.from('plain ✓')],
  ['bytes as an AMQP value', annotated(ALL_BYTES, 'value'), ALL_BYTES],
]) {
  test(`Azure's client sends ${what} with a subject: subscribers of that channel get it on both nodes`, async (t) => {
    const plain = await listen(t, 'SUBSCRIBE', 'azure:1');
    const pattern = await listen(t, 'PSUBSCRIBE', 'az?re:*');
    const isAnnotated = 'bodyType' in message;
    await send('azure:1', { ...message, ...(isAnnotated ? { properties: { subject: 'azure:1' } } : { subject: 'azure:1' }) });
    await plain.arrived(2);
    await pattern.arrived(2);
    for (const got of [plain, pattern]) {
      assert.deepEqual(got.map(([node]) => node).sort(), [0, 1]);
      for (const [, name, bytes] of got) {
        assert.equal(name, 'azure:1');
        assert.ok(bytes.equals(payload), `payload of ${bytes.length} bytes: ${bytes.toString('latin1', 0, 60)}`);
      }
    }
  });
}

test('the property "channel" names the channel, whatever the subject says', async (t) => {
  const got = await listen(t, 'SUBSCRIBE', 'azure:property', 'azure:subject');
  const applicationProperties = { channel: 'azure:property', other: 5 };
  await send('azure:property', { body: Buffer.from('x'), subject: 'azure:subject', applicationProperties });
  await send('azure:property', { body: Buffer.from('y'), applicationProperties: { channel: 'azure:property' } });
  await got.arrived(4);
  assert.deepEqual(got.map(([node, name, payload]) => `${node} ${name} ${payload}`).sort(),
    ['0 azure:property x', '0 azure:property y', '1 azure:property x', '1 azure:property y']);
});

test('what a session publishes is counted, and foreign messages too', async (t) => {
  const asker = await session(t, cluster.nodes[0]);
  const before = Number(parseInfo(await asker.request('INFO', 'all')).foreign_messages);
  await send('azure:counted', { body: Buffer.from('x'), subject: 'azure:counted' });
  await until(ARRIVAL_MS, 'it is counted', async () =>
    Number(parseInfo(await asker.request('INFO', 'all')).foreign_messages) === before + 1);
});

test('messages of Azure\'s client, in its batches, and publishes have one order on both nodes', async (t) => {
  const got = await listen(t, 'SUBSCRIBE', 'azure:mixed');
  const publisher = await session(t, cluster.nodes[0]);
  const [ROUNDS, EACH] = [40, 5];
  const numbers = Array.from({ length: ROUNDS * EACH }, (_, i) => i);
  const outside = async () => {
    for (let i = 0; i < numbers.length; i += EACH) {
      await send('azure:mixed', numbers.slice(i, i + EACH).map((n) => ({ body: Buffer.from(`out ${n}`), subject: 'azure:mixed' })));
    }
  };
  const inside = async () => {
    for (const n of numbers) await publisher.request('PUBLISH', 'azure:mixed', `in ${n}`);
  };
  await Promise.all([outside(), inside()]);
  await got.arrived(4 * numbers.length);
  const [one, two] = [0, 1].map((node) => got.filter((m) => m[0] === node).map((m) => String(m[2])));
  assert.deepEqual(one, two);
  for (const who of ['in', 'out']) {
    assert.deepEqual(one.filter((text) => text.startsWith(`${who} `)), numbers.map((n) => `${who} ${n}`));
  }
});

// ---- from sessions to Azure programs ----

/** Reads a topic by a subscription of the client's own: messages in order. */
async function spyOn(topic) {
  await broker.ask('create', { entity: `${topic}/Subscriptions/${SPY}` });
  const messages = [];
  spies.set(topic, messages);
  client.createReceiver(topic, SPY, { receiveMode: 'receiveAndDelete' }).subscribe({
    processMessage: async (message) => messages.push(message),
    processError: async ({ error }) => messages.push({ error }),
  });
}

/** The latest message of a channel's topic that is what is looked for. */
async function spied(channel, isIt) {
  const messages = spies.get(topicOf(channel));
  await until(ARRIVAL_MS, () => `the message among ${messages.length}`, () => messages.some(isIt));
  return messages.findLast(isIt);
}

const bodyText = (message) => (Buffer.isBuffer(message.body) ? message.body.toString('latin1') : '');

test('Azure\'s client reads what sessions publish: the envelope in properties, the body in RESP', async (t) => {
  const publisher = await session(t, cluster.nodes[1]);
  await publisher.request('PUBLISH', 'azure:read', 'hello ✓');
  const entry = '*3\r\n$7\r\nPUBLISH\r\n$10\r\nazure:read\r\n$9\r\nhello â\x9c\x93\r\n';
  const batch = await spied('azure:read', (message) => bodyText(message) === entry);
  assert.equal(batch.contentType, BATCH);
  assert.equal(batch._rawAmqpMessage.properties.contentEncoding, undefined);
  assert.ok(String(batch.messageId).length > 0 && String(batch.messageId).length <= 128);
  const properties = batch.applicationProperties;
  assert.deepEqual(Object.keys(properties).sort(), ['sb-base', 'sb-count', 'sb-gen', 'sb-inc', 'sb-node', 'sb-num', 'sb-time',
    'sb-try', 'sb-v']);
  assert.deepEqual([properties['sb-v'], properties['sb-node'], properties['sb-count']], [2, 'node-2', 1]);
  assert.ok(properties['sb-try'] >= 0 && properties['sb-try'] < 10, 'more when it said HELLO twice, on a busy machine');
  assert.match(properties['sb-inc'], /^[1-9]\d{12}-[0-9a-f]{16}$/);
  assert.ok(properties['sb-num'] >= 1 && properties['sb-base'] <= properties['sb-num']);
  assert.ok(Math.abs(properties['sb-gen'] - Date.now()) < 3600000, 'the generation is when the hub was founded, in ms');
  assert.ok(Math.abs(properties['sb-time'] - Date.now()) < 3600000);
  const ids = spies.get(topicOf('azure:read')).map((message) => message.messageId);
  assert.equal(new Set(ids).size, ids.length, 'every message has an id of its own');
});

test('Azure\'s client reads a compressed batch: the encoding says lz4, and the body is one LZ4 frame', async (t) => {
  const publisher = await session(t, cluster.nodes[0]);
  await publisher.request('PUBLISH', 'azure:lz4', 'x'.repeat(20000));
  const batch = await spied('azure:lz4', (message) => message._rawAmqpMessage.properties.contentEncoding === 'lz4');
  assert.equal(batch.body.readUInt32LE(0), 0x184d2204, 'the magic number of an LZ4 frame');
  assert.ok(batch.body.length < 1000);
});

// ---- what is no batch ----

async function malformed(node) {
  const connection = await node.connect();
  try {
    return Number(parseInfo(await connection.request('INFO', 'all')).batches_malformed);
  } finally {
    await connection.destroy();
  }
}

const without = (properties, name) => Object.fromEntries(Object.entries(properties).filter(([key]) => key !== name));
const content = { contentType: BATCH };

// Each makes a message of a real batch's body and properties with the next number, which every node would accept.
const GARBAGE = {
  'sb-v that is a text': (body, p) => [body, content, { ...p, 'sb-v': 'nonsense' }],
  'sb-v of another version': (body, p) => [body, content, { ...p, 'sb-v': 99 }],
  'sb-v alone': (body) => [body, content, { 'sb-v': 2 }],
  'a random body': (body, p) => [crypto.randomBytes(500), content, p],
  'a body of text': (body, p) => [Buffer.from('hello world\r\n'), content, p],
  'an empty body': (body, p) => [Buffer.alloc(0), content, p],
  'a cut body': (body, p) => [body.subarray(0, -3), content, p],
  'bytes behind its body': (body, p) => [Buffer.concat([body, Buffer.from('x')]), content, p],
  'lz4 that is none': (body, p) => [crypto.randomBytes(500), { ...content, contentEncoding: 'lz4' }, p],
  'an unknown content encoding': (body, p) => [body, { ...content, contentEncoding: 'gzip' }, p],
  'an unknown content type': (body, p) => [body, { contentType: 'text/plain' }, p],
  'no content type': (body, p) => [body, {}, p],
  'a wrong count': (body, p) => [body, content, { ...p, 'sb-count': 7 }],
  'a negative number': (body, p) => [body, content, { ...p, 'sb-num': -1 }],
  'a number that is a text': (body, p) => [body, content, { ...p, 'sb-num': 'five' }],
  'a number that is a fraction': (body, p) => [body, content, { ...p, 'sb-num': 1.5 }],
  'a node name of 300 bytes': (body, p) => [body, content, { ...p, 'sb-node': 'n'.repeat(300) }],
  'an incarnation that is none': (body, p) => [body, content, { ...p, 'sb-inc': 'x-y' }],
  'no node': (body, p) => [body, content, without(p, 'sb-node')],
  'no number': (body, p) => [body, content, without(p, 'sb-num')],
  'neither sb-v nor channel nor subject': () => [Buffer.from('lost'), {}, { other: 1 }],
  'nothing but a body': () => [Buffer.from('lost'), {}, undefined],
  'a channel that is a number': () => [Buffer.from('lost'), {}, { channel: 5 }],
  'a channel of 1,025 bytes': () => [Buffer.from('lost'), {}, { channel: 'c'.repeat(1025) }],
  'an AMQP value that is a number': () => [7, {}, { channel: 'azure:garbage' }, 'value'],
  'an AMQP sequence': () => [[[1, 2]], {}, { channel: 'azure:garbage' }, 'sequence'],
};

for (const [what, make] of Object.entries(GARBAGE)) {
  test(`a message with ${what} is counted once per node and skipped; later messages flow`, async (t) => {
    const got = await listen(t, 'SUBSCRIBE', 'azure:garbage');
    const publisher = await session(t, cluster.nodes[0]);
    const marker = `before ${what}`;
    await publisher.request('PUBLISH', 'azure:garbage', marker);
    const real = await spied('azure:garbage', (message) => bodyText(message).endsWith(`${marker}\r\n`));
    const number = real.applicationProperties['sb-num'] + 1;
    const before = await Promise.all(cluster.nodes.map(malformed));

    const [body, properties, applicationProperties, bodyType = 'data'] = make(real.body,
      { ...real.applicationProperties, 'sb-num': number, 'sb-base': number });
    await send('azure:garbage', { body, bodyType, properties, applicationProperties });
    await publisher.request('PUBLISH', 'azure:garbage', 'after');

    await got.arrived(4);
    assert.deepEqual(got.map(([node, , payload]) => `${node} ${payload}`).sort(),
      ['0 after', `0 ${marker}`, '1 after', `1 ${marker}`].sort());
    const after = await Promise.all(cluster.nodes.map(malformed));
    assert.deepEqual(after, before.map((count) => count + 1));
  });
}

test('with a key nodes believe each other, and nothing that is unsigned or of another signature', async (t) => {
  const key_file = writeSecret(temporaryDirectory(), 'hub.key', 'ZmFrZSBrZXkgb25lIGZvciB0ZXN0cyBvbmx5ISEhISE=');
  const hub = await Cluster.open({ broker, partitions: 1, settings: `hub = { key_file = "${key_file}"; };` });
  t.after(() => hub.close());
  const before = cluster;
  cluster = hub;
  t.after(() => { cluster = before; });
  const got = await listen(t, 'SUBSCRIBE', 'azure:signed');
  const publishers = await Promise.all(hub.nodes.map((node) => session(t, node)));
  for (const [i, publisher] of publishers.entries()) assert.equal(await publisher.request('PUBLISH', 'azure:signed', `of ${i}`), 2);
  const sender = client.createSender(`${hub.prefix}-0`);
  t.after(() => sender.close());
  const forged = { 'sb-v': 2, 'sb-node': 'node-1', 'sb-mac': '0'.repeat(64) };
  await sender.sendMessages([
    { body: Buffer.from('x'), applicationProperties: { channel: 'azure:signed' } },
    { body: Buffer.from('x'), contentType: BATCH, applicationProperties: without(forged, 'sb-mac') },
    { body: Buffer.from('x'), contentType: BATCH, applicationProperties: forged },
  ]);
  for (const node of hub.nodes) {
    let counts;
    await until(ARRIVAL_MS, () => `all three are refused: ${counts}`, async () => {
      const info = await node.info();
      counts = [info.batches_unsigned, info.batches_forged, info.batches_malformed, info.foreign_messages].join();
      return counts === '2,1,0,0';
    });
  }
  await publishers[0].request('PUBLISH', 'azure:signed', 'last');
  await got.arrived(6);
  assert.deepEqual(got.map(([node, , payload]) => `${node} ${payload}`).sort(),
    ['0 last', '0 of 0', '0 of 1', '1 last', '1 of 0', '1 of 1']);
});

run({
  before: async () => {
    requireSidebus();
    broker = await ServiceBus.start(temporaryDirectory());
    cluster = await Cluster.open({ broker, partitions: PARTITIONS });
    client = openClient();
    for (let p = 0; p < PARTITIONS; p++) await spyOn(`${cluster.prefix}-${p}`);
  },
  after: async () => {
    if (client) await client.close();
    if (cluster) await cluster.close();
    if (broker) await broker.stop();
  },
  afterName: 'the nodes exit with code 0 on SIGTERM',
});
